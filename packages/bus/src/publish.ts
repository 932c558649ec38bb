/**
 * Facts out.
 *
 *   P1. No fact is sent before its predecessor of the same stream, and of the same workspace, was acknowledged: whatever
 *       is lost and repeated, the order of a workspace on the bus is the order it was decided in (I2).
 *   P2. Facts of different workspaces travel side by side, up to a limit of unacknowledged ones.
 *   P3. What is not acknowledged within a second is sent again under the same id, until it is, or until told to stop:
 *       the server drops the repeat, and past its window the consumers know it by the id.
 *   P4. Nothing is sent while the link is down, and so nothing slips into a stream that was lost meanwhile ahead of what it lost:
 *       who publishes is told of the link (`onReconnect`) before anything is sent over it, and may end the batch then.
 */
import type { RecordedFact } from '@molecule/contracts';
import { backoff, Gate, type Log, sleep } from '@molecule/service';
import type { Bus } from './connection.ts';
import { type EncodedFact, encodeFact } from './envelope.ts';

const ACK_TIMEOUT_MS = 1_000; // limits, trap 8
const LINK_LOOK_MS = 25;
const MAX_IN_FLIGHT = 256;
/** Fewer failures in a row are a hiccup; more show in the health of the service. */
const TROUBLE_AFTER = 3;
const pauseMs = backoff({ firstMs: 25, lastMs: 1_000 });

/**
 * Returns the publisher of one service. It resolves when every fact of the batch is stored in FACTS, to the highest of their sequences.
 * Rejects with `FactTooLarge` before anything is sent, or with the reason of its signal or the batch's; there is no other way it gives up.
 */
export function publishFacts(
  bus: Bus,
  log: Log,
  signal: AbortSignal,
): (facts: readonly RecordedFact[], until?: AbortSignal) => Promise<number> {
  const gate = new Gate(MAX_IN_FLIGHT);
  const trouble = new Trouble(bus);
  /** The last unacknowledged fact of each stream and workspace, over all batches (P1). */
  const lastOf = new Map<string, Promise<unknown>>();

  const send = async (encoded: EncodedFact, predecessors: readonly Promise<unknown>[], until: AbortSignal): Promise<number> => {
    for (const predecessor of predecessors) await predecessor;
    await gate.enter();
    try {
      return await publishOne(bus, encoded, { log, signal: until, trouble });
    } finally {
      gate.leave();
    }
  };

  return async (facts, until) => {
    const either = until === undefined ? signal : AbortSignal.any([signal, until]);
    const batch = facts.map(encodeFact);
    const sent = batch.map((encoded) => {
      const keys = [`s ${encoded.fact.stream}`, `w ${encoded.fact.workspaceId}`];
      const predecessors = [...new Set(keys.map((key) => lastOf.get(key)).filter((promise) => promise !== undefined))];
      const sending = send(encoded, predecessors, either);
      for (const key of keys) lastOf.set(key, sending);
      const forget = () => {
        for (const key of keys) if (lastOf.get(key) === sending) lastOf.delete(key);
      };
      sending.then(forget, forget);
      return sending;
    });
    const outcomes = await Promise.allSettled(sent);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return outcomes.reduce((last, outcome) => Math.max(last, outcome.status === 'fulfilled' ? outcome.value : 0), 0);
  };
}

async function publishOne(
  bus: Bus,
  { fact, subject, body, headers }: EncodedFact,
  { log, signal, trouble }: { readonly log: Log; readonly signal: AbortSignal; readonly trouble: Trouble },
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    while (!bus.connected && !signal.aborted) await sleep(LINK_LOOK_MS, signal); // P4
    signal.throwIfAborted();
    try {
      const { seq } = await bus.js.publish(subject, body, { msgID: fact.id, timeout: ACK_TIMEOUT_MS, headers });
      trouble.over();
      return seq;
    } catch (error) {
      bus.counts.factRetries++;
      if (attempt === TROUBLE_AFTER) {
        trouble.begins();
        log.error({ err: error, subject, factId: fact.id, attempt }, 'a fact is not acknowledged; sending it again until it is');
      }
      await sleep(pauseMs(attempt), signal);
    }
  }
}

/** What health says of publishing: any fact that is acknowledged ends it, for whoever met it may have been told to stop since. */
class Trouble {
  readonly #bus: Bus;
  #told = false;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  begins(): void {
    this.#told = true;
    this.#bus.complain('publishing facts', 'facts are not acknowledged; they are kept and sent again');
  }

  over(): void {
    if (!this.#told) return;
    this.#told = false;
    this.#bus.complain('publishing facts', null);
  }
}
