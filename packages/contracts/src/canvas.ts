/** How facts look to canvases: the envelope of spec 1 §6.1, and which fact shows as which event (§6.4, kind P). */
import type { CanvasEventName } from './canvas-catalogue.ts';
import type { AnyRecordedFact } from './facts/index.ts';
import type { Json } from './facts/workspace.ts';

export interface CanvasEvent {
  readonly event: string;
  readonly workspace_id: string;
  readonly timestamp: string;
  readonly payload: Readonly<Record<string, Json>>;
}

/** The events of the wire that a fact shows as: none for what concerns no canvas. Pure. */
export function canvasEvents(fact: AnyRecordedFact): readonly CanvasEvent[] {
  const shown = translate(fact);
  return shown === null
    ? []
    : [{ event: shown.event, workspace_id: fact.workspaceId, timestamp: fact.recordedAt, payload: shown.payload }];
}

interface Shown {
  readonly event: CanvasEventName;
  readonly payload: Record<string, Json>;
}

function translate(fact: AnyRecordedFact): Shown | null {
  switch (fact.type) {
    case 'workspace.created':
      return fact.data.by === 'register' ? null : createdEvent(fact.data);
    case 'workspace.registered':
      return { event: 'WORKSPACE_ONLINE', payload: { url: fact.data.url, agent_card: fact.data.agentCard } };
    case 'workspace.status':
      // The decision names the event; a newer registry may name one that this catalogue does not have yet.
      return fact.data.event === null
        ? null
        : { event: fact.data.event.type as CanvasEventName, payload: fact.data.event.payload };
    case 'workspace.removed':
      return {
        event: 'WORKSPACE_REMOVED',
        payload: fact.data.cascadeDeleted === undefined ? {} : { cascade_deleted: fact.data.cascadeDeleted },
      };
    case 'workspace.card':
      return { event: 'AGENT_CARD_UPDATED', payload: { agent_card: fact.data.agentCard } };
    case 'schedule.fired':
      return {
        event: 'CRON_EXECUTED',
        payload: { schedule_id: fact.data.scheduleId, schedule_name: fact.data.name, status: fact.data.status },
      };
    case 'schedule.skipped':
      return fact.data.reason !== 'busy'
        ? null
        : {
            event: 'CRON_SKIPPED',
            payload: {
              schedule_id: fact.data.scheduleId,
              schedule_name: fact.data.name,
              reason: `skipped: workspace busy (active_tasks=${fact.data.activeTasks})`,
            },
          };
    case 'notice.removed':
      return { event: 'WORKSPACE_REMOVED', payload: { cascade_deleted: 0 } };
    case 'workspace.expanded':
      return { event: 'WORKSPACE_EXPANDED', payload: { children: fact.data.children } };
    case 'workspace.collapsed':
      return { event: 'WORKSPACE_COLLAPSED', payload: { removed_children: fact.data.removedChildren } };
    case 'workspace.agent-assigned':
      return { event: 'AGENT_ASSIGNED', payload: agentPayload(fact.data) };
    case 'workspace.agent-replaced':
      return { event: 'AGENT_REPLACED', payload: { ...agentPayload(fact.data), old_model: fact.data.oldModel } };
    case 'workspace.agent-removed':
      return { event: 'AGENT_REMOVED', payload: agentPayload(fact.data) };
    case 'workspace.agent-moved-out':
      return {
        event: 'AGENT_MOVED',
        payload: { ...agentPayload(fact.data), target_workspace_id: fact.data.targetWorkspaceId },
      };
    case 'workspace.agent-moved-in':
      return {
        event: 'AGENT_MOVED',
        payload: { ...agentPayload(fact.data), source_workspace_id: fact.data.sourceWorkspaceId },
      };
    case 'delegation.sent': {
      const { delegationId, targetId, taskPreview } = fact.data;
      return {
        event: 'DELEGATION_SENT',
        payload: { delegation_id: delegationId, target_id: targetId, task_preview: taskPreview },
      };
    }
    case 'delegation.dispatched':
      // The second attempt is the same dispatch, as far as a canvas is concerned.
      return fact.data.attempt === 1 ? delegationStatus(fact.data, 'dispatched') : null;
    case 'delegation.queued':
      return delegationStatus(fact.data, 'queued');
    case 'delegation.completed':
      return { event: 'DELEGATION_COMPLETE', payload: delegationComplete(fact.data) };
    case 'delegation.failed':
      return { event: 'DELEGATION_FAILED', payload: delegationFailed(fact.data) };
    case 'workspace.changed':
    case 'workspace.purged':
    case 'workspace.budgeted':
    case 'workspace.idle-limited':
    case 'access.token-issued':
    case 'access.token-revoked':
    case 'access.session-opened':
    case 'access.session-closed':
    case 'access.denied':
    case 'liveness.remote-stale':
    case 'workspace.moved':
    case 'workspace.located':
    case 'token.issued':
    case 'token.revoked':
    case 'a2a.dispatched':
    case 'a2a.answered':
    case 'a2a.unreached':
    case 'a2a.queued':
    case 'a2a.requeued':
    case 'a2a.completed':
    case 'a2a.failed':
    case 'a2a.dropped':
    case 'agent.unreachable':
    case 'schedule.created':
    case 'schedule.disabled':
    case 'schedule.deleted':
    case 'schedule.triggered':
    case 'schedule.due':
    case 'container.starting':
    case 'container.started':
    case 'container.exited':
    case 'container.stopped':
    case 'provision.failed':
    case 'liveness.lost':
    case 'provision.timed-out':
    case 'orphan.found':
    case 'orphan.reaped':
      return null;
    default:
      return unknownFact(fact);
  }
}

/** A fact type was forgotten: the compiler says so here. At run time, a newer service's fact concerns no canvas of ours. */
const unknownFact = (_fact: never): null => null;

type DelegationData<Type extends string> = Extract<AnyRecordedFact, { type: Type }>['data'];

const delegationStatus = (
  { delegationId, targetId }: { readonly delegationId: string; readonly targetId: string },
  status: 'dispatched' | 'queued',
): Shown => ({ event: 'DELEGATION_STATUS', payload: { delegation_id: delegationId, target_id: targetId, status } });

/** What an agent told of itself names no target (spec 2 §3.4). */
function delegationComplete({ delegationId, targetId, responsePreview, via }: DelegationData<'delegation.completed'>) {
  const about = { delegation_id: delegationId, ...(via === 'agent' ? {} : { target_id: targetId }) };
  return { ...about, response_preview: responsePreview, ...(via === 'queue_drain' && { via }) };
}

const delegationFailed = ({ delegationId, targetId, error, via }: DelegationData<'delegation.failed'>) => ({
  delegation_id: delegationId,
  ...(via === 'agent' ? {} : { target_id: targetId }),
  error,
});

const agentPayload = ({ agentId, model }: { readonly agentId: string; readonly model: string }) => ({ agent_id: agentId, model });

function createdEvent(data: Extract<AnyRecordedFact, { type: 'workspace.created' }>['data']): Shown {
  switch (data.status) {
    case 'online':
      return { event: 'WORKSPACE_ONLINE', payload: { name: data.name, external: true } };
    case 'awaiting_agent':
      return { event: 'WORKSPACE_AWAITING_AGENT', payload: { name: data.name, external: true } };
    default: {
      const { name, tier, runtime, parentId } = data;
      const more = data.by === 'expand' ? { parent_id: parentId } : { runtime };
      return { event: 'WORKSPACE_PROVISIONING', payload: { name, tier, ...more } };
    }
  }
}
