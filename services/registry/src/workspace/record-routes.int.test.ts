/** The agent record on real servers (spec 1 §1.9). */
import { randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import pg from 'pg';
import { describe, expect } from 'vitest';
import { NOBODY, type Registry, rowsOf, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const agentOf = (registry: Registry, id: string) => {
  const call = (method: string, body?: unknown, path = 'agent') =>
    registry.call(method, `/workspaces/${id}/${path}`, { ...(body !== undefined && { body }) });
  return {
    assign: (model: unknown) => call('POST', { model }),
    replace: (model: unknown) => call('PATCH', { model }),
    remove: () => call('DELETE'),
    move: (target_workspace_id: unknown) => call('POST', { target_workspace_id }, 'agent/move'),
  };
};
const refusal = (status: number, error: string) => ({ status, body: { error } });

describe('the agent of a workspace', () => {
  it('is assigned, replaced, moved and removed, and each is told and recorded', async ({ registry, postgresUrl, bus }) => {
    const [id, target] = [await registry.create(), await registry.create()];
    const { assign, replace, move } = agentOf(registry, id);

    const assigned = await assign('small');
    expect(assigned).toMatchObject({ status: 201, body: { agent_id: expect.stringMatching(uuid), model: 'small' } });
    expect(Object.keys(assigned.body)).toEqual(['agent_id', 'model']);
    const first = assigned.body.agent_id;
    const replaced = await replace('large');
    const second = replaced.body.agent_id;
    expect(replaced).toMatchObject({ status: 200, text: `{"agent_id":"${second}","model":"large","old_model":"small"}` });
    expect(second).not.toBe(first);
    expect(await move(target)).toMatchObject({
      status: 200,
      text: `{"agent_id":"${second}","model":"large","from_workspace":"${id}","to_workspace":"${target}"}`,
    });
    const removed = await agentOf(registry, target).remove();
    expect(removed).toMatchObject({ status: 200, text: `{"status":"removed","agent_id":"${second}"}` });

    expect((await registry.events(id)).slice(1)).toEqual([
      ['AGENT_ASSIGNED', { agent_id: first, model: 'small' }],
      ['AGENT_REPLACED', { agent_id: second, model: 'large', old_model: 'small' }],
      ['AGENT_MOVED', { agent_id: second, model: 'large', target_workspace_id: target }],
    ]);
    expect((await registry.events(target)).slice(1)).toEqual([
      ['AGENT_MOVED', { agent_id: second, model: 'large', source_workspace_id: id }],
      ['AGENT_REMOVED', { agent_id: second, model: 'large' }],
    ]);
    expect(await rowsOf(postgresUrl, 'select * from agents order by created_at')).toEqual([
      {
        id: first,
        workspace_id: id,
        model: 'small',
        status: 'replaced',
        removed_at: expect.any(Date),
        removal_reason: 'model_replaced',
        created_at: expect.any(Date),
      },
      {
        id: second,
        workspace_id: target,
        model: 'large',
        status: 'removed',
        removed_at: expect.any(Date),
        removal_reason: 'manual_removal',
        created_at: expect.any(Date),
      },
    ]);
    await assign('again');
    const { projections } = await ask(bus, asks.rebuild.registry, { check: true });
    expect(projections.find(({ table }) => table === 'agents')).toMatchObject({ rows: 3, missing: 0, unexpected: 0 });
  });

  it('is refused in the words of the specification', async ({ registry }) => {
    const [id, target, gone] = [await registry.create(), await registry.create(), await registry.create()];
    await registry.call('DELETE', `/workspaces/${gone}`);
    const { assign, replace, remove, move } = agentOf(registry, id);
    expect(await replace('m')).toMatchObject(refusal(404, 'no active agent to replace'));
    expect(await remove()).toMatchObject(refusal(404, 'no active agent to remove'));
    expect(await move(target)).toMatchObject(refusal(404, 'no active agent in source workspace'));
    for (const model of ['', undefined, null, 7]) {
      expect(await assign(model)).toMatchObject(refusal(400, 'invalid request body'));
      expect(await replace(model)).toMatchObject(refusal(400, 'invalid request body'));
    }
    expect(await move('')).toMatchObject(refusal(400, 'invalid request body'));
    for (const nowhere of [randomUUID(), gone, 'nobody'])
      expect(await agentOf(registry, nowhere).assign('m')).toMatchObject(refusal(404, 'workspace not found'));

    expect((await assign('m')).status).toBe(201);
    expect(await assign('m')).toMatchObject(refusal(409, 'workspace already has an active agent, use PATCH to replace'));
    for (const nowhere of [randomUUID(), gone, 'nobody'])
      expect(await move(nowhere)).toMatchObject(refusal(404, 'target workspace not found'));
    expect(await move(id)).toMatchObject(refusal(409, 'target workspace already has an active agent'));
    await agentOf(registry, target).assign('m');
    expect(await move(target)).toMatchObject(refusal(409, 'target workspace already has an active agent'));
    expect(await registry.call('POST', `/workspaces/${id}/agent`, { as: NOBODY, body: { model: 'm' } })).toMatchObject(
      refusal(401, 'missing workspace auth token'),
    );
  });

  it('A1: is one, however many are assigned at once', async ({ registry, postgresUrl }) => {
    const id = await registry.create();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => agentOf(registry, id).assign(`model ${n}`)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array(7).fill(409)]);
    expect(await rowsOf(postgresUrl, 'select from agents')).toHaveLength(1);
  });

  it('A2: is in one place, however often two workspaces pass theirs to and fro', async ({ registry, postgresUrl }) => {
    const [left, right] = [await registry.create(), await registry.create()];
    const { body } = await agentOf(registry, left).assign('m');
    const moves = [left, right].flatMap((from) =>
      Array.from({ length: 4 }, () => agentOf(registry, from).move(from === left ? right : left)),
    );
    for (const { status } of await Promise.all(moves)) expect([200, 404, 409]).toContain(status);
    const rows = await rowsOf(postgresUrl, 'select workspace_id from agents where status = $1', ['active']);
    expect(rows).toHaveLength(1);
    const holder = rows[0]?.['workspace_id'];
    expect((await agentOf(registry, holder).remove()).body.agent_id).toBe(body.agent_id);
    expect((await agentOf(registry, holder === left ? right : left).remove()).status).toBe(404);
  });

  it('is moved neither during a pause nor a removal of a subtree, which write to many in an order of their own', async ({
    registry,
    postgresUrl,
  }) => {
    const [id, target] = [await registry.create(), await registry.create()];
    await agentOf(registry, id).assign('m');
    const holder = new pg.Client({ connectionString: postgresUrl });
    await using open = new AsyncDisposableStack();
    open.defer(() => holder.end());
    await holder.connect();
    await holder.query("begin; select pg_advisory_xact_lock(hashtextextended('registry.tree', 0))");
    const moving = agentOf(registry, id).move(target);
    const waiting = "select from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and not granted";
    await waitFor(async () => (await rowsOf(postgresUrl, waiting)).length > 0, { what: 'the move to wait' });
    await holder.query('commit');
    expect((await moving).status).toBe(200);
  });
});
