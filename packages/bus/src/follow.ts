/** Facts in, for projections in memory: every replica hears every fact from now on, in order (I2). */
import { type AnyRecordedFact, STREAMS } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Bus } from './connection.ts';
import { decodeFact, HEADERS, RecentIds } from './envelope.ts';
import { OrderedFeed } from './ordered-feed.ts';

/** Where a fact stands in the stream FACTS: the same for all who hear it. */
export interface FactPlace {
  /** When the stream was made; another one means other facts under the same sequences. */
  readonly epoch: string;
  readonly sequence: number;
}

export interface FollowFactsOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Called in the order of the stream; must not throw (a throw is logged). */
  readonly onFact: (fact: AnyRecordedFact, place: FactPlace) => void;
  /** Facts were missed for good: whoever builds on them reads their source again. Called before those that come behind them. */
  readonly onGap: () => void;
}

export interface Following extends FactPlace {
  /** The last sequence of FACTS that was heard. */
  readonly sequence: number;
  /** Whether facts arrive now. */
  readonly alive: boolean;
  stop(): Promise<void>;
}

/** Resolves once every fact stored from now on will be heard. Waits for NATS and the stream; rejects only when aborted. */
export async function followFacts(bus: Bus, { log, signal, onFact, onGap }: FollowFactsOptions): Promise<Following> {
  const seen = new RecentIds();
  const unknown = new Set<string>();
  return OrderedFeed.open(
    bus,
    {
      stream: STREAMS.facts,
      log,
      from: 'new',
      contiguous: true,
      onMessage: (message, { sequence }, epoch) => {
        if (message.headers?.has(HEADERS.onlyFor)) return;
        const decoded = decodeFact(message.string());
        if (decoded.kind === 'unknown') {
          if (!unknown.has(decoded.type)) log.warn({ type: decoded.type }, 'a fact of a type not known here');
          unknown.add(decoded.type);
        } else if (decoded.kind === 'unparsable') {
          log.error({ subject: message.subject, reason: decoded.reason }, 'a fact cannot be read');
        } else if (!seen.has(decoded.fact.id)) {
          seen.add(decoded.fact.id);
          onFact(decoded.fact, { epoch, sequence });
        }
      },
      onGap: (missed) => {
        bus.counts.factGaps++;
        log.error({ missed }, 'facts were missed; reading their source again');
        onGap();
      },
    },
    signal,
  );
}
