import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type AnyRecordedFact,
  CANVAS_EVENTS,
  type CanvasEventName,
  canvasEvents,
  capabilitySet,
  FACTS,
  HeartbeatBody,
  id12,
  isWorkspaceId,
  subjects,
} from './index.ts';

const workspaceId = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';

const recorded = (fact: { type: string; data: unknown }) =>
  ({
    ...fact,
    id: randomUUID(),
    stream: `workspace.${workspaceId}`,
    version: 1,
    schema: 1,
    workspaceId,
    recordedAt: '2026-04-17T09:00:00.123456Z',
    commandId: 'a command',
    correlationId: null,
    causationId: null,
    traceparent: null,
  }) as AnyRecordedFact;

describe('a subject', () => {
  it('ends in the workspace it concerns', () => {
    expect(subjects.fact('workspace.status', workspaceId)).toBe(`workspace.status.${workspaceId}`);
    expect(subjects.heartbeat(workspaceId)).toBe(`heartbeat.${workspaceId}`);
    expect(subjects.partialHeartbeat(workspaceId)).toBe(`heartbeat.${workspaceId}.partial`);
  });

  it.each(['', '*', '>', 'a.b', 'a b', 'a\r\nb', '../x'])('is refused for the id %j', (id) => {
    expect(() => subjects.heartbeat(id)).toThrow(TypeError);
  });

  it('is stored for every fact there is', () => {
    const contexts = subjects.everyFact.map((subject) => subject.split('.')[0]);
    for (const type of Object.keys(FACTS)) expect(contexts).toContain(type.split('.')[0]);
  });
});

describe('a beat', () => {
  it('takes absent and null scalars as their defaults', () => {
    expect(HeartbeatBody.parse({ workspace_id: workspaceId, error_rate: null })).toMatchObject({
      error_rate: 0,
      active_tasks: 0,
      runtime_state: '',
      monthly_spend: 0,
    });
  });

  it.each([
    [-5, 0],
    [2 ** 50, 1_000_000_000_000],
    [7, 7],
  ])('clamps a monthly spend of %d to %d', (given, kept) => {
    expect(HeartbeatBody.parse({ workspace_id: workspaceId, monthly_spend: given }).monthly_spend).toBe(kept);
  });

  it.each([
    {},
    { workspace_id: '' },
    { workspace_id: 1 },
    { workspace_id: workspaceId, active_tasks: 1.5 },
    { workspace_id: workspaceId, error_rate: 'x' },
  ])('is refused as %j', (body) => expect(HeartbeatBody.safeParse(body).success).toBe(false));

  it('is cut where an agent says more of itself than a fact can hold, between two characters', () => {
    const { sample_error, current_task } = HeartbeatBody.parse({
      workspace_id: workspaceId,
      sample_error: 'é'.repeat(8191),
      current_task: 'fits',
    });
    expect(sample_error).toBe('é'.repeat(4096));
    expect(HeartbeatBody.parse({ workspace_id: workspaceId, sample_error: `x${'é'.repeat(5000)}` }).sample_error).toBe(
      `x${'é'.repeat(4095)}`,
    );
    expect(current_task).toBe('fits');
  });

  it('says nothing of its runtime when the key is missing or null, and something when it is empty', () => {
    expect(HeartbeatBody.parse({ workspace_id: workspaceId }).runtime_metadata).toBeUndefined();
    expect(HeartbeatBody.parse({ workspace_id: workspaceId, runtime_metadata: null }).runtime_metadata).toBeUndefined();
    expect(HeartbeatBody.parse({ workspace_id: workspaceId, runtime_metadata: {} }).runtime_metadata).toEqual({});
  });
});

describe('declared capabilities', () => {
  it('keep what is known and true', () => {
    expect([...capabilitySet({ session: true, scheduler: false, teleport: true, retry: 'yes' })]).toEqual(['session']);
    expect([...capabilitySet(undefined)]).toEqual([]);
  });
});

describe('what a canvas is shown', () => {
  it('is the registered agent', () => {
    const fact = recorded({
      type: 'workspace.registered',
      data: { from: 'provisioning', url: 'http://a', internalUrl: 'http://b', agentCard: { name: 'a' } },
    });
    expect(canvasEvents(fact)).toEqual([
      {
        event: 'WORKSPACE_ONLINE',
        workspace_id: workspaceId,
        timestamp: fact.recordedAt,
        payload: { url: 'http://a', agent_card: { name: 'a' } },
      },
    ]);
  });

  it('is the number removed on the root of a cascade, and nothing on its descendants', () => {
    expect(
      canvasEvents(recorded({ type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 2 } }))[0]?.payload,
    ).toEqual({ cascade_deleted: 2 });
    expect(canvasEvents(recorded({ type: 'workspace.removed', data: { from: 'online' } }))[0]?.payload).toEqual({});
  });

  const created = {
    ...{ name: 'atlas', role: null, tier: 1, runtime: 'echo', external: false, parentId: null, url: '', template: '', model: '' },
    ...{ workspaceDir: null, workspaceAccess: 'none', awarenessNamespace: '', maxConcurrentTasks: 1, budgetLimit: null },
    ...{ canvas: { x: 0, y: 0 }, status: 'provisioning', by: 'create' },
  };
  const agent = { agentId: randomUUID(), model: 'm' };
  const delegation = { trackingId: randomUUID(), delegationId: 'd', workspaceId, targetId: randomUUID() };
  const cron = { scheduleId: randomUUID(), workspaceId, name: 's', dueAt: 't', ranAt: 't', nextRunAt: 't' };
  it.each([
    ['workspace.created', created],
    ['workspace.created', { ...created, by: 'expand', parentId: workspaceId }],
    ['workspace.created', { ...created, status: 'online', external: true }],
    ['workspace.created', { ...created, status: 'awaiting_agent', external: true }],
    ['workspace.registered', { from: 'online', url: 'http://a', internalUrl: 'http://a', agentCard: { deep: [null] } }],
    ['workspace.removed', { from: 'online', cascadeDeleted: 2 }],
    ['workspace.removed', { from: 'online' }],
    ['workspace.card', { agentCard: null }],
    ['workspace.expanded', { children: [{ id: workspaceId, name: 'n', role: '' }] }],
    ['workspace.collapsed', { removedChildren: ['n'] }],
    ['workspace.agent-assigned', agent],
    ['workspace.agent-replaced', { ...agent, oldAgentId: randomUUID(), oldModel: 'o' }],
    ['workspace.agent-removed', agent],
    ['workspace.agent-moved-out', { ...agent, targetWorkspaceId: workspaceId }],
    ['workspace.agent-moved-in', { ...agent, sourceWorkspaceId: workspaceId }],
    ['notice.removed', { workspaceId }],
    ['delegation.sent', { ...delegation, taskPreview: 't', by: 'agent' }],
    ['delegation.dispatched', { ...delegation, messageId: randomUUID(), attempt: 1, worker: 'w' }],
    ['delegation.queued', { ...delegation, messageId: randomUUID() }],
    ['delegation.completed', { ...delegation, responsePreview: 'r', via: 'queue_drain' }],
    ['delegation.completed', { ...delegation, responsePreview: 'r', via: 'agent' }],
    ['delegation.failed', { ...delegation, error: 'e', via: 'direct' }],
    ['delegation.failed', { ...delegation, error: 'e', via: 'agent' }],
    ['schedule.fired', { ...cron, status: 'ok', error: '', empty: false }],
    ['schedule.skipped', { ...cron, reason: 'busy', activeTasks: 3 }],
  ])('of %s is an event of the catalogue, with what that says', (type, data) => {
    const [shown] = canvasEvents(recorded({ type, data }));
    const contract = CANVAS_EVENTS[shown?.event as CanvasEventName];
    expect(contract.kind).toBe('log');
    expect(contract.payload.parse(shown?.payload)).toEqual(shown?.payload);
  });

  it('is nothing for facts that concern no canvas, and for facts of a newer service', () => {
    expect(canvasEvents(recorded({ type: 'workspace.moved', data: { parentId: null } }))).toEqual([]);
    expect(canvasEvents(recorded({ type: 'weather.changed', data: {} }))).toEqual([]);
  });
});

describe('a workspace id', () => {
  it('names its container by its first twelve characters', () => expect(id12(workspaceId)).toBe('0b6c2f53-6d5'));

  it('is a UUID', () => {
    expect(isWorkspaceId(workspaceId)).toBe(true);
    expect(isWorkspaceId('../etc/passwd')).toBe(false);
  });
});
