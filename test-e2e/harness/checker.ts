/**
 * Judges a history. It knows nothing of how the platform works: only what clients were told, what agents saw, and what the log
 * says became of each message.
 */
import type { History, Sent } from './history.ts';

/** What the platform's log says of one message. */
export interface Recorded {
  readonly value: string;
  readonly queueId: string;
  /** How urgent it was in the mailbox of its workspace; `null` if it was never queued. */
  readonly priority: number | null;
  /** The facts of its stream, by type, in order. That a direct call began is none of them: it is written down or not. */
  readonly facts: readonly string[];
}

export interface Verdict {
  /** Acknowledged, but never seen by the agent, and not ended otherwise by the log; or said to be queued, and not in the log. */
  readonly lost: string[];
  /** Seen more often than the log admits attempts. */
  readonly duplicated: string[];
  /** Seen, but never sent. */
  readonly unexpected: string[];
  /** Messages in a mailbox that one overtook which was sent only after they were known to be there. */
  readonly reordered: string[];
  /** Messages with none or several terminal facts (I1). */
  readonly unbalanced: string[];
}

/** What is said of a history in which nothing is wrong. */
export const CLEAN: Verdict = { lost: [], duplicated: [], unexpected: [], reordered: [], unbalanced: [] };

const TERMINAL = new Set(['a2a.answered', 'a2a.unreached', 'a2a.completed', 'a2a.failed', 'a2a.dropped']);
const GIVEN_UP = new Set(['a2a.failed', 'a2a.dropped']);

export function judge(history: History, recorded: readonly Recorded[]): Verdict {
  const byValue = groupBy(recorded, ({ value }) => value);
  const seen = groupBy(history.seen, ({ value }) => value);
  const sentValues = new Set(history.sent.map(({ value }) => value));

  return {
    lost: history.sent
      .filter((sent) => isLost(sent, seen.has(sent.value), byValue.get(sent.value) ?? []))
      .map(({ value }) => value),
    duplicated: [...seen]
      .filter(([value, sightings]) => sightings.length > admitted(byValue.get(value) ?? []))
      .map(([value]) => value),
    unexpected: [...seen.keys()].filter((value) => !sentValues.has(value)),
    reordered: reordered(history, byValue),
    unbalanced: recorded.filter(({ facts }) => facts.filter((type) => TERMINAL.has(type)).length !== 1).map(({ value }) => value),
  };
}

export const isClean = (verdict: Verdict): boolean => Object.values(verdict).every((findings) => findings.length === 0);

/** An answer or a queue id is a promise; a refusal and silence are none. */
function isLost({ outcome, queueId }: Sent, wasSeen: boolean, records: readonly Recorded[]): boolean {
  if (outcome === 'queued' && !records.some((record) => record.queueId === queueId)) return true;
  if (wasSeen || outcome === 'refused' || outcome === 'unknown') return false;
  return !(outcome === 'queued' && records.some(({ facts }) => facts.some((type) => GIVEN_UP.has(type))));
}

const attempts = ({ facts }: Recorded): number => facts.filter((type) => type === 'a2a.dispatched').length;

/**
 * How often an agent may have seen it. A direct call is one attempt; each attempt from the mailbox is in the log; each call of a
 * client is a message of its own. What was never recorded (a process died first) may have been seen once.
 */
function admitted(records: readonly Recorded[]): number {
  // The first attempt of a queued message was the direct one, which met a busy agent.
  return Math.max(
    1,
    records.reduce((sum, record) => sum + 1 + attempts(record), 0),
  );
}

function reordered(history: History, byValue: ReadonlyMap<string, readonly Recorded[]>): string[] {
  const sent = new Map(history.sent.map((one) => [one.value, one]));
  const deliveries = history.seen.flatMap(({ value, target, order }) => {
    const { began, ended, outcome } = sent.get(value) ?? {};
    const record = byValue.get(value)?.find(({ priority }) => priority !== null);
    // A retried one keeps its place but may be seen again later: only what was taken from the mailbox once is judged by order.
    if (!record || began === undefined || attempts(record) !== 1 || record.facts.includes('a2a.requeued')) return [];
    const knownFrom = outcome === 'queued' && ended ? ended : Number.POSITIVE_INFINITY;
    return [{ value, order, began, knownFrom, mailbox: `${target} ${record.priority}` }];
  });
  const out: string[] = [];
  for (const [, queue] of groupBy(deliveries, ({ mailbox }) => mailbox)) {
    let latest = Number.NEGATIVE_INFINITY;
    // The direct attempt comes first, if the agent saw that too: the delivery is the last sighting.
    const last = new Map(queue.map((one) => [one.value, one]));
    for (const { value, began, knownFrom } of [...last.values()].sort((a, b) => a.order - b.order)) {
      if (knownFrom < latest) out.push(value);
      latest = Math.max(latest, began);
    }
  }
  return out;
}

function groupBy<Item>(items: readonly Item[], key: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
