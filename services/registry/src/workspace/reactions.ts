/**
 * What others found out about a workspace, weighed (D5). They report evidence; the status is decided here. Of the registry's own facts
 * those are heard as well that something follows from (`starts.ts`, A2).
 *
 *   R1. A fact's effect, its place in `foreign_events` and the note that it was heard are one transaction: heard again, it is passed,
 *       by its id, whatever place it has in a stream that was lost and filled again.
 *   R2. What came to light about an earlier run, or was contradicted by the agent since, comes too late.
 */
import { type AnyRecordedFact, type FactType, WorkspaceId } from '@molecule/contracts';
import { type Tx, takeOnce } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { hasBackend } from './backend.ts';
import { type Decision, locate } from './decisions.ts';
import { keepForeignEvents } from './projections/structure-events.ts';
import { restartAfterOffline } from './starts.ts';
import { weigh } from './status.ts';

/** What the registry hears: evidence and what belongs into the structure-event log, of others; of its own, what something follows from. */
export const HEARD = [
  'workspace.status',
  'provision.failed',
  'container.started',
  'container.exited',
  'liveness.lost',
  'liveness.remote-stale',
  'provision.timed-out',
  'agent.unreachable',
  'schedule.fired',
  'schedule.skipped',
  'delegation.sent',
  'delegation.dispatched',
  'delegation.queued',
  'delegation.completed',
  'delegation.failed',
] as const satisfies readonly FactType[];

/** What is known besides the state, milliseconds since the epoch where it is a time. */
export interface Knowledge {
  /** When the agent last proved to be there: a beat, or a register. */
  readonly heardAt: number;
  readonly now: number;
  readonly statusSince: number;
  /** The latest start that the provisioner spoke of; 0: none. */
  readonly run: number;
}

/** The decision that a fact calls for, or `null` when it calls for none, or comes too late (R2). Pure. */
export function reactionTo(fact: AnyRecordedFact, { heardAt, statusSince, run, now }: Knowledge): Decision | null {
  switch (fact.type) {
    case 'provision.failed': {
      const { error, sampleError, missing } = fact.data;
      return fact.data.run < run ? null : weigh({ kind: 'provision-failed', error, sampleError, missing });
    }
    case 'container.started':
      return fact.data.run < run ? null : locate(fact.data.url);
    case 'container.exited':
      return fact.data.run < run ? null : weigh({ kind: 'container-exited' });
    case 'liveness.lost':
      return contradicted(fact.data, heardAt, now) ? null : weigh({ kind: 'liveness-lost' });
    case 'liveness.remote-stale': {
      const { lastHeardAt, staleAfterSeconds: leaseSeconds } = fact.data;
      return contradicted({ lastHeardAt, leaseSeconds }, heardAt, now) ? null : weigh({ kind: 'remote-stale' });
    }
    case 'provision.timed-out': {
      const { timeoutSeconds, runtime } = fact.data;
      const waited = Date.parse(fact.recordedAt) - statusSince;
      return waited < timeoutSeconds * 1_000 ? null : weigh({ kind: 'provision-timed-out', timeoutSeconds, runtime });
    }
    case 'agent.unreachable':
      return heardAt > Date.parse(fact.recordedAt) ? null : weigh({ kind: 'agent-unreachable' });
    default:
      return null;
  }
}

/**
 * R3. A silence is contradicted by what was heard since it began, and lately. The sweeper and the registry hear the same last beat
 *     each at its own moment: by itself, hearing it a little later contradicts nothing.
 */
const contradicted = (
  { lastHeardAt, leaseSeconds }: { readonly lastHeardAt: string; readonly leaseSeconds: number },
  heardAt: number,
  now: number,
): boolean => heardAt > Date.parse(lastHeardAt) && now - heardAt < (leaseSeconds * 1_000) / 2;

type ReactionParts = Pick<Parts, 'bus' | 'ledger' | 'store' | 'barrier' | 'fleet' | 'contexts' | 'templates' | 'clock' | 'log'>;

/** Takes in a batch in its order. Throws what keeps it from being stored; then it comes again. */
export const react =
  (parts: ReactionParts) =>
  async (facts: readonly AnyRecordedFact[]): Promise<void> => {
    const { store, fleet, clock, log } = parts;
    // Once for the batch: a whole fleet may be lost at once, and a provisioner that does not answer must not hold up each of them.
    let asked: Promise<boolean> | undefined;
    const askBackend = () => {
      asked ??= hasBackend(parts);
      return asked;
    };
    for (const fact of facts) {
      if (fact.type === 'workspace.status') {
        await restartAfterOffline(parts, WorkspaceId.parse(fact.workspaceId), fact, askBackend);
        continue;
      }
      const types = await store.transaction(async (tx, committing) => {
        const id = WorkspaceId.safeParse(fact.workspaceId);
        const decided = id.success ? await decide(tx, { fleet, clock }, fact, id.data) : null;
        const isNew = await takeOnce(tx.db, { reader: 'registry', factId: fact.id }); // R1
        if (!isNew) return [];
        await keepForeignEvents(tx.db, [fact]);
        await rememberRun(tx, fact);
        if (decided === null || decided.facts.length === 0) return [];
        const meta = {
          commandId: fact.id,
          causationId: fact.id,
          ...(fact.correlationId && { correlationId: fact.correlationId }),
        };
        committing(await tx.append(workspace, decided.id, decided.facts, decided.version, meta));
        return decided.facts.map(({ type }) => type);
      });
      if (types.length > 0) log.info({ workspaceId: fact.workspaceId, evidence: fact.type, types }, 'evidence moved a workspace');
    }
  };

type Ears = Pick<Parts, 'fleet' | 'clock'>;

async function decide(tx: Tx<Tables>, { fleet, clock }: Ears, fact: AnyRecordedFact, id: WorkspaceId) {
  const { state, version } = await tx.load(workspace, id);
  if (state.situation !== 'present') return null;
  const row = await tx.db
    .selectFrom('workspaces')
    .leftJoin('container_runs', 'container_runs.workspace_id', 'workspaces.workspace_id')
    .select(['status_since', 'registered_at', 'run'])
    .where('workspaces.workspace_id', '=', id)
    .executeTakeFirst();
  const decision = reactionTo(fact, {
    heardAt: Math.max(row?.registered_at?.getTime() ?? 0, fleet.vitals(id)?.lastBeatAt ?? 0),
    statusSince: row?.status_since.getTime() ?? 0,
    run: row?.run ?? 0,
    now: clock.now().getTime(),
  });
  return decision === null ? null : { id, version, facts: decision(state) };
}

async function rememberRun(tx: Tx<Tables>, fact: AnyRecordedFact): Promise<void> {
  if (fact.type !== 'container.started' && fact.type !== 'container.exited' && fact.type !== 'provision.failed') return;
  const { workspaceId, run } = fact.data;
  await tx.db
    .insertInto('container_runs')
    .values({ workspace_id: workspaceId, run })
    .onConflict((conflict) =>
      conflict.column('workspace_id').doUpdateSet(({ fn, ref }) => ({
        run: fn<number>('greatest', [ref('container_runs.run'), ref('excluded.run')]),
      })),
    )
    .execute();
}
