/**
 * Why a workspace is as it is, who has to act next, by when, and what may be done (our addition). Pure.
 *
 *   Z1. What may be done is what the decisions say: each action is tried on the state, and listed if it is not refused. So is what
 *       becomes of it.
 *   Z2. A deadline is the earliest time at which the platform may act by itself: who watches it grants more after its own start, and
 *       whatever is heard meanwhile moves it.
 */
import {
  type AnyRecordedFact,
  Json,
  type RecordedWorkspaceFact,
  Refusal,
  StatusReason,
  type WorkspaceFact,
  type WorkspaceId,
  WorkspaceStatus,
} from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { z } from 'zod';
import { type Decision, removeDescendant } from './decisions.ts';
import { type Circumstances, hibernate, pause, restart, resume, wake } from './lifecycle.ts';
import type { Vitals } from './vitals.ts';
import { type PresentWorkspace, type Workspace, workspaceFold } from './workspace.ts';

/** The fact that gave the workspace its present status. */
export type StatusFact = Extract<
  RecordedWorkspaceFact,
  { type: 'workspace.created' | 'workspace.registered' | 'workspace.status' | 'workspace.removed' }
>;

export interface Known {
  readonly id: WorkspaceId;
  readonly state: Exclude<Workspace, { situation: 'absent' }>;
  readonly because: StatusFact;
  /** What somebody else found out and `because` followed from; `null`: nothing, or it cannot be read any more. */
  readonly evidence: AnyRecordedFact | null;
  readonly circumstances: Circumstances;
  readonly vitals: Vitals | null;
  /** Whether the runtime judges its own health (`status_mgmt`). */
  readonly managesStatus: boolean;
  /** Since when it is known to do nothing, ms since the epoch. */
  readonly idleSince: number | null;
  readonly timers: Timers;
}

/** Seconds; `null`: there is no such limit. */
export interface Timers {
  readonly lease: number;
  readonly provisioning: number;
  readonly remoteStale: number;
  readonly idle: number | null;
}

const Next = z.object({
  who: z.enum(['agent', 'provisioner', 'operator', 'caller', 'nobody']),
  what: z.string(),
});
type Next = z.infer<typeof Next>;

const Deadline = z.object({ at: z.iso.datetime(), consequence: z.string() });
type Deadline = z.infer<typeof Deadline>;

const LegalAction = z.object({
  action: z.string(),
  method: z.enum(['GET', 'POST', 'PATCH', 'DELETE']),
  path: z.string(),
  effect: z.string(),
});
type LegalAction = z.infer<typeof LegalAction>;

export const Explanation = z
  .object({
    id: z.uuid(),
    status: WorkspaceStatus,
    since: z.iso.datetime(),
    because: z.object({
      fact_type: z.string(),
      fact_id: z.string(),
      version: z.int(),
      reason: z.enum([...StatusReason.options, 'registered', 'removed']),
      recorded_at: z.iso.datetime(),
      error: z.string().optional().describe('What went wrong, in the words that were told.'),
      evidence: z
        .object({ fact_type: z.string(), fact_id: z.string(), recorded_at: z.iso.datetime(), data: Json })
        .optional()
        .describe('What another service found out, where this followed from it and it can still be read.'),
    }),
    next: Next.describe('Who has to act for the status to change for the better.'),
    deadline: z.iso.datetime().nullable().describe('The earliest time at which the platform may act by itself.'),
    consequence: z.string().nullable().describe('What it does then.'),
    deadlines: z.array(Deadline).describe('All of them, the earliest first.'),
    legal_actions: z.array(LegalAction),
    vitals: z
      .object({
        last_beat_at: z.iso.datetime(),
        active_tasks: z.int(),
        error_rate: z.number(),
        sample_error: z.string(),
        current_task: z.string(),
        uptime_seconds: z.number(),
      })
      .nullable()
      .describe('What the last beat said; null: none was heard.'),
    paused_ancestor: z.string().nullable().describe('The name of the nearest paused one above; it has to be resumed first.'),
  })
  .meta({ id: 'Explanation' });
export type Explanation = z.infer<typeof Explanation>;

export function explain(known: Known): Explanation {
  const { id, state, because, vitals, circumstances } = known;
  const deadlines = deadlinesOf(known).toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return {
    id,
    status: statusOf(state),
    since: because.recordedAt,
    because: becauseOf(known),
    next: nextOf(known),
    deadline: deadlines[0]?.at ?? null,
    consequence: deadlines[0]?.consequence ?? null,
    deadlines,
    legal_actions: legalActions(known),
    vitals: vitals && {
      last_beat_at: new Date(vitals.lastBeatAt).toISOString(),
      active_tasks: vitals.activeTasks,
      error_rate: vitals.errorRate,
      sample_error: vitals.sampleError,
      current_task: vitals.currentTask,
      uptime_seconds: vitals.uptimeSeconds,
    },
    paused_ancestor: circumstances.pausedAncestor,
  };
}

/** The status a fact leaves behind, and why; `null` where it leaves it alone. */
export function statusFactOf(fact: RecordedWorkspaceFact): StatusFact | null {
  switch (fact.type) {
    case 'workspace.created':
    case 'workspace.registered':
    case 'workspace.status':
      return fact;
    case 'workspace.removed':
      return fact.data.from === 'removed' ? null : fact;
    default:
      return null;
  }
}

const statusOf = (state: Known['state']): WorkspaceStatus => (state.situation === 'removed' ? 'removed' : state.status);

function becauseOf({ because, evidence }: Known): Explanation['because'] {
  const { type, id, version, recordedAt } = because;
  const error = errorOf(because);
  return {
    fact_type: type,
    fact_id: id,
    version,
    reason: reasonOf(because),
    recorded_at: recordedAt,
    ...(error !== null && { error }),
    ...(evidence !== null && {
      evidence: {
        fact_type: evidence.type,
        fact_id: evidence.id,
        recorded_at: evidence.recordedAt,
        data: evidence.data as Json,
      },
    }),
  };
}

function reasonOf(fact: StatusFact): Explanation['because']['reason'] {
  switch (fact.type) {
    case 'workspace.created':
      return fact.data.by === 'register' ? 'registered' : 'created';
    case 'workspace.registered':
      return 'registered';
    case 'workspace.status':
      return fact.data.reason;
    case 'workspace.removed':
      return 'removed';
  }
}

/** The event that told of it says what went wrong, under one of two names (spec 1 §6.4). */
function errorOf(fact: StatusFact): string | null {
  if (fact.type !== 'workspace.status') return null;
  const { error, sample_error: sample } = fact.data.event?.payload ?? {};
  const said = typeof error === 'string' ? error : sample;
  return typeof said === 'string' && said !== '' ? said : null;
}

/** Reasons for being offline that the platform answers with a start of its own. */
const STARTED_AGAIN: ReadonlySet<string> = new Set(['liveness-lost', 'container-exited', 'agent-unreachable']);

function nextOf({ state, because, circumstances, managesStatus }: Known): Next {
  if (state.situation === 'removed') return { who: 'nobody', what: 'Nothing: removed is final.' };
  const { backend, pausedAncestor } = circumstances;
  const operator = (what: string): Next => ({ who: 'operator', what: `${what}${needed(state, circumstances)}` });
  switch (state.status) {
    case 'provisioning':
      return state.located
        ? { who: 'agent', what: 'Register, or beat: its container has been started.' }
        : { who: 'provisioner', what: 'Start the container; the agent then registers or beats.' };
    case 'online':
      return { who: 'agent', what: 'Go on beating.' };
    case 'degraded':
      return managesStatus
        ? { who: 'agent', what: 'Register again: it judges its own health.' }
        : { who: 'agent', what: 'Recover: beat with an error rate below 0.1 and no runtime_state.' };
    case 'offline':
      if (state.external) return { who: 'agent', what: 'Beat or register again: it runs elsewhere.' };
      return STARTED_AGAIN.has(reasonOf(because)) && backend && pausedAncestor === null
        ? { who: 'provisioner', what: 'Start it again: this follows by itself. A beat brings it back, too.' }
        : operator('Restart it, unless a beat brings it back.');
    case 'failed':
      return operator('Mend what is wrong and restart it. An agent that registers brings it online, too.');
    case 'paused':
      return operator('Resume it. Nothing does so by itself.');
    case 'hibernating':
      return { who: 'provisioner', what: 'Stop what runs; then it sleeps.' };
    case 'hibernated':
      return backend && pausedAncestor === null
        ? { who: 'caller', what: 'Send it a message: that wakes it.' }
        : operator('Restart it.');
    case 'awaiting_agent':
      return { who: 'agent', what: 'Register with its URL and the token that the creation showed.' };
  }
}

/** What stands in the way of every start. */
function needed({ external }: PresentWorkspace, { pausedAncestor, backend }: Circumstances): string {
  if (pausedAncestor !== null) return ` "${pausedAncestor}" above it is paused and has to be resumed first.`;
  return external || backend ? '' : ' There is nothing that could start containers; that has to be there first.';
}

function deadlinesOf({ state, because, vitals, timers, idleSince }: Known): Deadline[] {
  if (state.situation === 'removed') return [];
  const { status } = state;
  const external = state.external || state.runtime === 'external';
  const since = Date.parse(because.recordedAt);
  const heard = Math.max(since, vitals?.lastBeatAt ?? 0);
  const after = (from: number, seconds: number, consequence: string): Deadline => ({
    at: new Date(from + seconds * 1_000).toISOString(),
    consequence,
  });
  const restarts = external ? '' : ' and is started again';
  switch (status) {
    case 'provisioning':
      return [after(since, timers.provisioning, 'It fails: the start took too long.')];
    case 'online':
    case 'degraded':
      return [
        ...(external ? [after(heard, timers.remoteStale, 'It goes offline, unless it beats.')] : []),
        // A remote agent that never beat has no lease.
        ...(external && vitals === null ? [] : [after(heard, timers.lease, `It goes offline${restarts}, unless it beats.`)]),
        ...(!external && timers.idle !== null && idleSince !== null
          ? [after(idleSince, timers.idle, 'It is put to sleep, unless it has something to do.')]
          : []),
      ];
    case 'failed':
      // Who failed to start never promised a beat: only one that came after that begins a lease.
      return heard === since ? [] : [after(heard, timers.lease, `It goes offline${restarts}.`)];
    default:
      return [];
  }
}

interface Action {
  readonly action: string;
  readonly method: LegalAction['method'];
  readonly path: (known: Known) => string;
  readonly effect?: string;
  readonly decide: (known: Known) => Decision;
  /** Listed only where it changes something. */
  readonly onlyIfItActs?: boolean;
}

const below =
  (rest: string) =>
  ({ id }: Known): string =>
    `/workspaces/${id}${rest}`;
const activeTasks = ({ vitals }: Known): number => Math.max(0, vitals?.activeTasks ?? 0);

/** In the order in which an operator would think of them. */
const ACTIONS: readonly Action[] = [
  { action: 'restart', method: 'POST', path: below('/restart'), decide: ({ circumstances }) => restart(circumstances) },
  { action: 'pause', method: 'POST', path: below('/pause'), decide: () => pause },
  { action: 'resume', method: 'POST', path: below('/resume'), decide: ({ circumstances }) => resume(circumstances) },
  {
    action: 'hibernate',
    method: 'POST',
    // Who is at work is put to sleep only if that is said.
    path: (known) => below(activeTasks(known) > 0 ? '/hibernate?force=true' : '/hibernate')(known),
    decide: (known) => hibernate({ activeTasks: activeTasks(known), force: activeTasks(known) > 0 }),
  },
  { action: 'wake', method: 'POST', path: below('/a2a'), decide: ({ circumstances }) => wake(circumstances), onlyIfItActs: true },
  { action: 'delete', method: 'DELETE', path: below('?confirm=true'), decide: () => removeDescendant, onlyIfItActs: true },
  {
    action: 'purge',
    method: 'DELETE',
    path: below('?confirm=true&purge=true'),
    decide: () => () => [],
    effect: 'It goes, and everything of it; its id stays taken.',
  },
];

/** Z1. */
function legalActions(known: Known): LegalAction[] {
  const { state } = known;
  return ACTIONS.flatMap(({ action, method, path, decide, effect, onlyIfItActs = false }) => {
    const facts = accepted(decide(known), state);
    if (facts === null || (onlyIfItActs && facts.length === 0)) return [];
    return [{ action, method, path: path(known), effect: effect ?? effectOf(state, facts) }];
  });
}

/** What a decision yields, or `null` when it refuses. */
function accepted(decide: Decision, state: Workspace): readonly WorkspaceFact[] | null {
  try {
    return decide(state);
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

function effectOf(state: Known['state'], facts: readonly WorkspaceFact[]): string {
  if (facts.length === 0) return 'Nothing changes.';
  const after = replay(workspaceFold, facts, state as Workspace);
  return after.situation === 'absent' ? 'Nothing changes.' : `Becomes ${statusOf(after)}.`;
}
