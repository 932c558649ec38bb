/** `GET /workspaces/:id/explain` (our addition): gathers what is known of a workspace, and lets `explain.ts` say what it amounts to. */
import { lastFact } from '@molecule/bus';
import {
  type AnyRecordedFact,
  type FactType,
  provisionTimeoutSeconds,
  type RecordedWorkspaceFact,
  remoteStaleAfterSeconds,
  type StatusReason,
  type WorkspaceId,
} from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { auth, doc, json, problem, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { hasBackend } from './backend.ts';
import { Explanation, explain, type StatusFact, statusFactOf } from './explain.ts';
import { quietSince } from './idle.ts';
import { pausedAncestorOf } from './tree.ts';
import { workspaceFold } from './workspace.ts';

/** Facts of whatever time. */
const EVER = new Date('9999-01-01T00:00:00Z');
const MINUTE_SECONDS = 60;

const explainDoc = doc({
  summary: 'Say why a workspace is as it is, who has to act next, by when, and what may be done',
  source: 'addition',
  answers: { 200: { description: 'What is known now.', body: Explanation } },
  refusals: [
    ['not-found', 'workspace not found'],
    ['failed', 'lookup failed'],
  ],
});

export const explainRoutes = (parts: Parts) =>
  new Hono<WithContext>().get('/workspaces/:id/explain', explainDoc, auth.workspace, async (c) => {
    const id = namedWorkspace(c);
    const explanation = id === null ? null : await orFail(c, 'lookup failed', () => explanationOf(parts, id));
    if (explanation === null) throw problem.workspaceNotFound();
    return json(c, explanation);
  });

/** `null`: there is no such workspace, or it was purged. */
async function explanationOf(parts: Parts, id: WorkspaceId): Promise<Explanation | null> {
  const { ledger, fleet, clock, settings } = parts;
  const facts: RecordedWorkspaceFact[] = [];
  await ledger.readHistory(workspace, { at: EVER, id }, (fact) => facts.push(fact));
  const state = replay(workspaceFold, facts);
  const because = facts.findLast((fact) => statusFactOf(fact) !== null) as StatusFact | undefined;
  if (state.situation === 'absent' || because === undefined || facts.some(({ type }) => type === 'workspace.purged')) return null;
  const [backend, pausedAncestor, evidence] = await Promise.all([
    hasBackend(parts),
    pausedAncestorOf(ledger.db, id),
    evidenceOf(parts, because, facts),
  ]);
  const member = fleet.get(id);
  const quiet = member === undefined ? null : quietSince(member, 0);
  const idleMinutes = facts.findLast((fact) => fact.type === 'workspace.idle-limited')?.data.minutes ?? null;
  return explain({
    id,
    state,
    because,
    evidence,
    circumstances: { backend, pausedAncestor },
    vitals: fleet.vitals(id),
    managesStatus: member?.managesStatus === true,
    // Idleness is told by the monotonic clock; here its beginning is wanted in the time of people.
    idleSince: quiet === null ? null : clock.now().getTime() - (clock.monotonicMs() - quiet),
    timers: {
      lease: settings.LIVENESS_LEASE_SECONDS,
      provisioning: provisionTimeoutSeconds(
        state.situation === 'present' ? state.runtime : '',
        settings.PROVISION_TIMEOUT_SECONDS,
      ),
      remoteStale: remoteStaleAfterSeconds(settings.REMOTE_LIVENESS_STALE_AFTER),
      idle: idleMinutes === null || idleMinutes <= 0 ? null : idleMinutes * MINUTE_SECONDS,
    },
  });
}

/** What others say that moves a workspace, by the reason that is noted. */
const EVIDENCE: Partial<Readonly<Record<StatusReason, FactType>>> = {
  'provision-failed': 'provision.failed',
  'provision-timed-out': 'provision.timed-out',
  'container-exited': 'container.exited',
  'liveness-lost': 'liveness.lost',
  'remote-stale': 'liveness.remote-stale',
  'agent-unreachable': 'agent.unreachable',
};

/** The fact that this one followed from: of our own stream, or the last that another service said of the kind, if it is the one. */
async function evidenceOf(
  { bus, log }: Pick<Parts, 'bus' | 'log'>,
  because: StatusFact,
  own: readonly RecordedWorkspaceFact[],
): Promise<AnyRecordedFact | null> {
  const { causationId, workspaceId } = because;
  if (causationId === null) return null;
  const known = own.find(({ id }) => id === causationId);
  const type = because.type === 'workspace.status' ? EVIDENCE[because.data.reason] : undefined;
  if (known !== undefined || type === undefined) return known ?? null;
  try {
    const said = await lastFact(bus, type, workspaceId);
    return said?.id === causationId ? said : null;
  } catch (error) {
    log.info({ err: error, workspaceId }, 'the evidence of a change of status could not be read');
    return null;
  }
}
