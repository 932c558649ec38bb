/** `given(facts).when(decision).then(facts)`, so that a specification reads as a sentence. */
import type { Fact } from '@molecule/contracts';
import type { Fold } from '@molecule/event-store';
import { expect } from 'vitest';

/** What a refusal must be: its class, its message (or a part of it), or some of its properties, such as `{ kind: 'conflict' }`. */
type Refused = (new (...args: never[]) => Error) | string | RegExp | Readonly<Record<string, unknown>>;

export const scenario = <State, F extends Fact>(fold: Fold<State, F>) => {
  const after = (past: readonly F[]): State => past.reduce(fold.evolve, fold.initial);
  return {
    given: (...past: F[]) => ({
      /** The state that these facts lead to. */
      state: () => after(past),
      when: (decide: (state: State, version: number) => readonly F[]) => {
        const decided = () => decide(after(past), past.length);
        return {
          // biome-ignore lint/suspicious/noThenProperty: the word of the sentence; nobody awaits it
          then: (...expected: F[]) => expect(decided()).toEqual(expected),
          thenNothing: () => expect(decided()).toEqual([]),
          thenRefused: (refusal: Refused) => {
            const refused = caught(decided);
            if (typeof refusal === 'function') expect(refused).toBeInstanceOf(refusal);
            else if (typeof refusal === 'string') expect(refused.message).toContain(refusal);
            else if (refusal instanceof RegExp) expect(refused.message).toMatch(refusal);
            else expect(refused).toMatchObject(refusal);
          },
        };
      },
    }),
  };
};

function caught(work: () => unknown): Error {
  let value: unknown;
  try {
    value = work();
  } catch (error) {
    return error as Error;
  }
  return expect.fail(`expected a refusal, and it decided ${JSON.stringify(value)}`);
}
