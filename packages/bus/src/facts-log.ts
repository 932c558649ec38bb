/**
 * Reading again what FACTS has kept, from one place to another: for somebody who was away.
 *
 * Facts are asked for by their sequence, a few at a time, so nothing is left on the server when a reader goes away, what a slow
 * reader has not taken is not read, and every server since 2.9 can do it.
 */
import { type AnyRecordedFact, STREAMS } from '@molecule/contracts';
import type { Bus } from './connection.ts';
import { decodeFact, RecentIds } from './envelope.ts';
import { FactsGone } from './errors.ts';
import type { FactPlace } from './follow.ts';
import { storedMessage } from './parked.ts';

/** What is kept now. */
export interface FactsExtent {
  readonly epoch: string;
  /** One more than `last` when nothing is kept. */
  readonly first: number;
  readonly last: number;
}

export interface PlacedFact {
  readonly fact: AnyRecordedFact;
  readonly place: FactPlace;
}

/** How many are asked for at a time. */
const AT_A_TIME = 64;

export async function factsExtent(bus: Bus): Promise<FactsExtent> {
  const { created, state } = await bus.jsm.streams.info(STREAMS.facts);
  return { epoch: created, first: state.first_seq, last: state.last_seq };
}

/**
 * The facts behind `after` up to `upTo`, in order, batch by batch; what followers pass over is not among them, nor what is stored twice.
 *
 * @throws FactsGone when one of them is no longer kept
 */
export async function* readFacts(
  bus: Bus,
  { epoch, after, upTo }: { readonly epoch: string; readonly after: number; readonly upTo: number },
): AsyncGenerator<readonly PlacedFact[]> {
  const seen = new RecentIds();
  for (let next = after + 1; next <= upTo; next += AT_A_TIME) {
    const sequences = Array.from({ length: Math.min(AT_A_TIME, upTo - next + 1) }, (_, at) => next + at);
    const stored = await Promise.all(sequences.map((sequence) => storedMessage(bus, STREAMS.facts, sequence)));
    yield stored.flatMap((message, at) => {
      const sequence = next + at;
      if (message === undefined) throw new FactsGone(sequence);
      if (message.onlyFor !== undefined) return [];
      const decoded = decodeFact(message.body);
      if (decoded.kind !== 'fact' || seen.has(decoded.fact.id)) return [];
      seen.add(decoded.fact.id);
      return [{ fact: decoded.fact, place: { epoch, sequence } }];
    });
  }
}
