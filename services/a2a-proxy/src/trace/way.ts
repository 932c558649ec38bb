/**
 * The whole way of a message, told from its facts: hops, waits, attempts, decisions. Pure.
 *
 *   W1. Facts are told in the order of the log; nothing is told that no fact or row says.
 *   W2. Neither bodies nor replies are part of it: they are in the activity, for whoever may read that.
 */
import type { MessageSource, RecordedA2aFact, RecordedDelegationFact } from '@molecule/contracts';

export interface Step {
  /** RFC 3339. */
  readonly at: string;
  readonly what: string;
  readonly text: string;
}

export type MessageState = 'open' | 'waiting' | 'dispatched' | 'answered' | 'unreached' | 'completed' | 'failed' | 'dropped';

export interface MessageWay {
  readonly id: string;
  readonly rootId: string;
  readonly parentId: string | null;
  /** Calls of agents to agents that led here, this one included. */
  readonly depth: number;
  readonly source: MessageSource;
  readonly callerId: string | null;
  readonly workspaceId: string;
  readonly method: string;
  readonly state: MessageState;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** How often it was sent to the agent. */
  readonly dispatches: number;
  /** How long it waited in the mailbox, in ms, as far as it is over. */
  readonly waitedMs: number;
  readonly steps: readonly Step[];
}

/** What the row of a message's first attempt says of it. */
export interface Row {
  readonly status: string;
  readonly errorDetail: string | null;
  readonly durationMs: number | null;
}

type Envelope = Extract<RecordedA2aFact, { type: 'a2a.queued' }>['data'];
type Told = { readonly state: MessageState; readonly text: string };

const ENDED: ReadonlySet<MessageState> = new Set(['answered', 'unreached', 'completed', 'failed', 'dropped']);

/** `facts`: of one message, in order, at least one of them with its envelope. `undefined`: none has. */
export function messageWay(facts: readonly RecordedA2aFact[], row: Row | undefined): MessageWay | undefined {
  const envelope = facts.map(({ data }) => data).find((data): data is Envelope => 'source' in data);
  const first = facts[0];
  if (envelope === undefined || first === undefined) return undefined;
  const steps: Step[] = [];
  let state: MessageState = 'open';
  let waitsSince: number | null = null;
  let waitedMs = 0;
  let dispatches = 0;
  let startedMs = Date.parse(first.recordedAt);
  for (const fact of facts) {
    const atMs = Date.parse(fact.recordedAt);
    const waited = waitsSince === null ? 0 : Math.max(0, atMs - waitsSince);
    const told = tell(fact, { waited, detail: row?.errorDetail ?? null });
    if (fact.type === 'a2a.answered') startedMs = Math.min(startedMs, atMs - fact.data.durationMs);
    if (fact.type === 'a2a.dispatched') dispatches++;
    state = told.state;
    waitedMs += state === 'waiting' ? 0 : waited;
    waitsSince = state === 'waiting' ? (waitsSince ?? atMs) : null;
    steps.push({ at: fact.recordedAt, what: fact.type, text: told.text });
  }
  const last = facts.at(-1);
  const { messageId, lineage, source, callerId, workspaceId, method } = envelope;
  return {
    id: messageId,
    rootId: lineage?.rootId ?? messageId,
    parentId: lineage?.parentId ?? null,
    depth: lineage?.depth ?? 0,
    source,
    callerId,
    workspaceId,
    method,
    state,
    startedAt: new Date(startedMs).toISOString(),
    endedAt: ENDED.has(state) && last ? last.recordedAt : null,
    // One that ended within the recorder's window has no fact of its beginning (ADR 3).
    dispatches: first.type === 'a2a.dispatched' ? dispatches : dispatches + 1,
    waitedMs,
    steps,
  };
}

function tell(fact: RecordedA2aFact, { waited, detail }: { readonly waited: number; readonly detail: string | null }): Told {
  switch (fact.type) {
    case 'a2a.dispatched':
      return fact.data.via === 'direct'
        ? { state: 'open', text: `sent to the agent by ${fact.data.worker}` }
        : {
            state: 'dispatched',
            text: `taken out of the mailbox after ${duration(waited)}, attempt ${fact.data.attempt}, by ${fact.data.worker}`,
          };
    case 'a2a.queued':
      return {
        state: 'waiting',
        text: `the agent was busy${detail === null ? '' : ` (${detail})`}: waits in the mailbox with priority ${fact.data.priority}`,
      };
    case 'a2a.requeued':
      return { state: 'waiting', text: REQUEUED[fact.data.reason](fact.data.error ?? '') };
    case 'a2a.answered':
      return { state: 'answered', text: `answered with HTTP ${fact.data.httpStatus} after ${duration(fact.data.durationMs)}` };
    case 'a2a.unreached':
      return { state: 'unreached', text: `not delivered: ${fact.data.error}; the sender was told HTTP ${fact.data.httpStatus}` };
    case 'a2a.completed':
      return { state: 'completed', text: `delivered from the mailbox: HTTP ${fact.data.httpStatus}` };
    case 'a2a.failed':
      return { state: 'failed', text: `given up after attempt ${fact.data.attempts}: ${fact.data.error}` };
    case 'a2a.dropped':
      return { state: 'dropped', text: `dropped: ${DROPPED[fact.data.reason]}` };
  }
}

const REQUEUED: Readonly<
  Record<Extract<RecordedA2aFact, { type: 'a2a.requeued' }>['data']['reason'], (error: string) => string>
> = {
  busy: () => 'the agent was busy again: back in the mailbox, the attempt does not count',
  error: (error) => `the attempt failed (${error}): back in the mailbox`,
  'worker-lost': () => 'the process that sent it ended: back in the mailbox',
};

const DROPPED: Readonly<Record<Extract<RecordedA2aFact, { type: 'a2a.dropped' }>['data']['reason'], string>> = {
  stale: 'it had waited too long',
  expired: 'its time had run out',
  'workspace-removed': 'its workspace was removed',
  cancelled: 'it was cancelled',
};

export interface DelegationWay {
  readonly trackingId: string;
  readonly delegationId: string;
  readonly workspaceId: string;
  readonly targetId: string;
  readonly state: 'sent' | 'dispatched' | 'queued' | 'completed' | 'failed';
  /** Of its calls, in order. */
  readonly messageIds: readonly string[];
  readonly steps: readonly Step[];
}

/** `facts`: of one delegation, in order. `undefined`: there are none. */
export function delegationWay(facts: readonly RecordedDelegationFact[]): DelegationWay | undefined {
  const first = facts[0];
  const last = facts.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { trackingId, delegationId, workspaceId, targetId } = first.data;
  return {
    trackingId,
    delegationId,
    workspaceId,
    targetId,
    state: last.type.slice('delegation.'.length) as DelegationWay['state'],
    messageIds: facts.flatMap((fact) => (fact.type === 'delegation.dispatched' ? [fact.data.messageId] : [])),
    steps: facts.map((fact) => ({ at: fact.recordedAt, what: fact.type, text: tellDelegation(fact) })),
  };
}

function tellDelegation(fact: RecordedDelegationFact): string {
  switch (fact.type) {
    case 'delegation.sent':
      return fact.data.by === 'agent' ? 'the agent told of it and sends it itself' : 'accepted';
    case 'delegation.dispatched':
      return `attempt ${fact.data.attempt} begins, by ${fact.data.worker}`;
    case 'delegation.queued':
      return 'waits in the mailbox of the target';
    case 'delegation.completed':
      return `completed${fact.data.via === 'queue_drain' ? ' from the mailbox' : fact.data.via === 'agent' ? ', as the agent says' : ''}`;
    case 'delegation.failed':
      return `failed: ${fact.data.error}`;
  }
}

/** Roots first, and below each what it led to, by the time it began. */
export function asTree(ways: readonly MessageWay[]): MessageWay[] {
  const known = new Set(ways.map(({ id }) => id));
  const below = Map.groupBy(ways, ({ parentId }) => (parentId !== null && known.has(parentId) ? parentId : ''));
  const tree: MessageWay[] = [];
  const seen = new Set<string>();
  const walk = (parent: string): void => {
    for (const way of (below.get(parent) ?? []).toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))) {
      if (seen.has(way.id)) continue;
      seen.add(way.id);
      tree.push(way);
      walk(way.id);
    }
  };
  walk('');
  return tree;
}

const duration = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);
