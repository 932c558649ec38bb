/** `GET /workspaces/:id/explain` with real servers: what is gathered is what happened. */
import { randomUUID } from 'node:crypto';
import { WorkspaceId } from '@molecule/contracts';
import { it as servers, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aGateway, beat, NOBODY, publish, type Registry, withRegistry } from '../fixtures.ts';

const it = withRegistry(servers);

const explain = async (registry: Registry, id: string) => (await registry.call('GET', `/workspaces/${id}/explain`)).body;

describe('an explanation', () => {
  it('follows a workspace from its creation to its removal', async ({ registry, bus, others }) => {
    const id = await registry.create();
    const created = await explain(registry, id);
    expect(created).toMatchObject({
      id,
      status: 'provisioning',
      because: { fact_type: 'workspace.created', version: 1, reason: 'created' },
      next: { who: 'provisioner' },
      consequence: 'It fails: the start took too long.',
      vitals: null,
      paused_ancestor: null,
    });
    expect(Date.parse(created.deadline) - Date.parse(created.since)).toBe(600_000);

    await registry.register(id);
    const gateway = aGateway(bus);
    beat(gateway, id, { active_tasks: 2, current_task: 'thinking', error_rate: 0.6, sample_error: 'oops' });
    await waitFor(async () => (await registry.status(id)) === 'degraded');
    expect(await explain(registry, id)).toMatchObject({
      status: 'degraded',
      because: { fact_type: 'workspace.status', reason: 'error-rate', error: 'oops' },
      next: { who: 'agent' },
      vitals: { active_tasks: 2, error_rate: 0.6, sample_error: 'oops', current_task: 'thinking' },
    });

    others.backend = 'none';
    const run = { workspaceId: WorkspaceId.parse(id), run: 1 };
    const evidence = await publish(bus, { type: 'container.exited', data: run });
    await waitFor(async () => (await registry.status(id)) === 'offline');
    expect(await explain(registry, id)).toMatchObject({
      status: 'offline',
      because: { reason: 'container-exited', evidence: { fact_type: 'container.exited', fact_id: evidence, data: run } },
      next: { who: 'operator' },
      deadline: null,
    });

    await registry.call('DELETE', `/workspaces/${id}`);
    expect(await explain(registry, id)).toMatchObject({
      status: 'removed',
      because: { reason: 'removed' },
      next: { who: 'nobody' },
      legal_actions: [{ action: 'purge', method: 'DELETE', path: `/workspaces/${id}?confirm=true&purge=true` }],
    });
    await registry.call('DELETE', `/workspaces/${id}?purge=true`);
    expect(await registry.call('GET', `/workspaces/${id}/explain`)).toMatchObject({
      status: 404,
      body: { error: 'workspace not found' },
    });
  });

  it('names the paused one above, which stands in the way', async ({ registry }) => {
    const parent = await registry.create({ name: 'team' });
    const child = await registry.create({ parent_id: parent });
    await registry.call('POST', `/workspaces/${parent}/pause`);
    const { status, paused_ancestor, legal_actions } = await explain(registry, child);
    expect({ status, paused_ancestor }).toEqual({ status: 'paused', paused_ancestor: 'team' });
    const actions = legal_actions.map(({ action }: { action: string }) => action);
    expect(actions).toEqual(['delete', 'purge']);
    for (const action of ['restart', 'resume'])
      expect((await registry.call('POST', `/workspaces/${child}/${action}`)).status).toBe(409);
  });

  it('is for the workspace and the operator', async ({ registry }) => {
    const id = await registry.create();
    expect(await registry.call('GET', `/workspaces/${id}/explain`, { as: NOBODY })).toMatchObject({
      status: 401,
      body: { error: 'missing workspace auth token' },
    });
    for (const unknown of [randomUUID(), 'no-id'])
      expect(await registry.call('GET', `/workspaces/${unknown}/explain`)).toMatchObject({
        status: 404,
        body: { error: 'workspace not found' },
      });
  });
});
