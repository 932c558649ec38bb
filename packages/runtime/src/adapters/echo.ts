/**
 * An agent that answers with what it was told. It shows every behaviour that the platform must cope with, on command:
 *
 *   !sleep <seconds> [text]    holds the call, then answers with the text
 *   !fail [reason]             answers `Agent error: <reason>`, and counts towards the error rate
 *   !wedge [reason], !unwedge  marks and clears the wedge
 *   !declare [a,b,…]           declares these capabilities from the next beat on; none without names
 *   !idle-timeout <seconds>    declares an idle timeout; 0 takes it back
 *
 * Environment, each also a key of `runtime_config` in config.yaml (the variable wins):
 *   ECHO_CAPABILITIES           session,scheduler,status_mgmt …   capabilities: [session]
 *   ECHO_IDLE_TIMEOUT_SECONDS   2                                 idle_timeout_seconds: 2
 *   ECHO_CONCURRENCY            1                                 concurrency: 1
 *   ECHO_BUSY                   wait | reset                      busy: reset
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  type AdapterConfig,
  AgentError,
  BaseAdapter,
  type Concurrency,
  type EventQueue,
  type ExecutionContext,
  type Executor,
} from '../adapter.ts';
import { declaring, NO_CAPABILITIES, type RuntimeCapabilities } from '../capabilities.ts';

const names = z.union([z.array(z.string()), z.string().transform((text) => splitNames(text))]);

const Options = z.object({
  capabilities: names.default([]),
  idle_timeout_seconds: z.coerce.number().int().min(0).default(0),
  concurrency: z.coerce.number().int().positive().default(1),
  busy: z.enum(['wait', 'reset']).default('wait'),
});

const splitNames = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

export class Adapter extends BaseAdapter {
  static override getConfigSchema(): Readonly<Record<string, unknown>> {
    return z.toJSONSchema(Options, { io: 'input' });
  }
  // `Function.name` is a property; an adapter's name is asked for by calling it (spec 4 §9).
  static override name(): string {
    return 'echo';
  }
  static displayName(): string {
    return 'Echo';
  }
  static description(): string {
    return 'Answers with the text it was sent.';
  }

  #capabilities = NO_CAPABILITIES;
  #idleTimeout: number | undefined;
  #concurrency: Concurrency = { max: 1, whenBusy: 'wait' };

  override capabilities(): RuntimeCapabilities {
    return this.#capabilities;
  }

  override idleTimeoutOverride(): number | undefined {
    return this.#idleTimeout;
  }

  override concurrency(): Concurrency {
    return this.#concurrency;
  }

  /** Throws when the options are not as described above. */
  async setup({ env, runtimeConfig }: AdapterConfig): Promise<void> {
    const options = Options.parse({
      capabilities: env['ECHO_CAPABILITIES'] || runtimeConfig['capabilities'],
      idle_timeout_seconds: env['ECHO_IDLE_TIMEOUT_SECONDS'] || runtimeConfig['idle_timeout_seconds'],
      concurrency: env['ECHO_CONCURRENCY'] || runtimeConfig['concurrency'],
      busy: env['ECHO_BUSY'] || runtimeConfig['busy'],
    });
    this.#capabilities = declaring(options.capabilities);
    this.#idleTimeout = options.idle_timeout_seconds || undefined;
    this.#concurrency = { max: options.concurrency, whenBusy: options.busy };
  }

  async createExecutor(config: AdapterConfig): Promise<Executor> {
    return {
      execute: async (context, events) => {
        const [, command, rest = ''] = /^!([a-z-]+)(?:\s+([\s\S]*))?$/.exec(context.text.trim()) ?? [];
        const answer = command === undefined ? context.text : await this.#obey(command, rest.trim(), context, config);
        if (context.streaming) stream(answer, events);
        events.enqueue({ kind: 'message', parts: [{ kind: 'text', text: answer }] });
      },
      cancel: async () => {},
    };
  }

  async #obey(command: string, rest: string, context: ExecutionContext, { wedge, heartbeat }: AdapterConfig): Promise<string> {
    switch (command) {
      case 'sleep': {
        const [seconds = '', ...words] = rest.split(/\s+/);
        await pause(inRange(seconds, 3600) * 1000, context.signal);
        return words.join(' ') || `slept ${seconds}`;
      }
      case 'fail':
        throw new AgentError(rest || 'told to fail');
      case 'wedge':
        wedge.mark(rest || 'told to wedge');
        return 'wedged';
      case 'unwedge':
        wedge.clear();
        return 'unwedged';
      case 'declare':
        this.#capabilities = understood(() => declaring(splitNames(rest)));
        heartbeat.nudge();
        return `declared ${splitNames(rest).join(', ') || 'nothing'}`;
      case 'idle-timeout':
        this.#idleTimeout = Math.trunc(inRange(rest, 86_400)) || undefined;
        heartbeat.nudge();
        return `idle timeout ${this.#idleTimeout === undefined ? 'taken back' : `${this.#idleTimeout} s`}`;
      default:
        return context.text;
    }
  }
}

const stream = (answer: string, events: EventQueue): void => {
  const artifactId = randomUUID();
  const chunks = answer.match(/\S+\s*/g) ?? [answer];
  for (const [index, text] of chunks.entries()) {
    events.enqueue({ kind: 'artifact', artifactId, text, append: index > 0, lastChunk: index === chunks.length - 1 });
  }
};

function inRange(text: string, most: number): number {
  const seconds = Number(text);
  if (text === '' || !(seconds >= 0 && seconds <= most)) throw new AgentError(`a number of seconds from 0 to ${most} is needed`);
  return seconds;
}

function understood<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new AgentError((error as Error).message);
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new AgentError('cancelled'));
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancelled);
      resolve();
    }, ms);
    const cancelled = () => {
      clearTimeout(timer);
      reject(new AgentError('cancelled'));
    };
    signal.addEventListener('abort', cancelled, { once: true });
  });
