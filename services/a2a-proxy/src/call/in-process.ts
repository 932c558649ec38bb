/** Calls that begin in this process, for routes that are no calls themselves: they go the way of every call, and get its answer. */
import type { Log } from '@molecule/service';
import type { Answer } from './answer.ts';
import type { DirectCall, DirectCalls } from './direct.ts';

/** Resolves as soon as there is an answer; what follows goes on by itself. */
export function answerOf(calls: Pick<DirectCalls, 'handle'>, call: DirectCall, log: Log): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let answered = false;
    const respond = (answer: Answer) => {
      answered = true;
      resolve(answer);
    };
    calls.handle(call, respond).catch((error: unknown) => {
      if (answered) log.error({ err: error }, 'what follows a call failed');
      else reject(error);
    });
  });
}
