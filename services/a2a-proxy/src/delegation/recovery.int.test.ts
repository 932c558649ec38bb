/** Processes that die or stop while they carry out delegations: each of these is resolved, and none is sent twice (spec 2 §3.2). */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, it, type Running, type World } from '../testing/world.ts';

const PATIENTLY = { timeoutMs: 30_000 };
type Proxy = Pick<Running, 'url'>;
const delegate = async (world: World, proxy: Proxy, from: string, to: string, task: string): Promise<string> => {
  const body = JSON.stringify({ target_id: to, task });
  const answer = await world.send(proxy, `/workspaces/${from}/delegate`, 'POST', { identity: admin, body });
  expect(answer.status).toBe(202);
  return answer.json.delegation_id;
};
/** How the request of a delegation stands. */
const stateOf = async (world: World, proxy: Proxy, from: string, id: string) => {
  const { json } = await world.send(proxy, `/workspaces/${from}/delegations`, 'GET', { identity: admin });
  const { status, error } = json.find((entry: { id: string }) => entry.id === id);
  return { status, ...(error && { error }) };
};
const resolved = (world: World, proxy: Proxy, from: string, id: string) =>
  waitFor(
    async () => {
      const state = await stateOf(world, proxy, from, id);
      return (state.status === 'completed' || state.status === 'failed') && state;
    },
    { ...PATIENTLY, what: 'the delegation to be resolved' },
  );
const factsOf = async (world: World, id: string) => {
  const { rows } = await world.database.query<{ type: string; data: Record<string, unknown> }>(
    'select type, data from events where stream = $1 order by version',
    [`delegation.${id}`],
  );
  return rows;
};
const typesOf = async (world: World, id: string) =>
  (await factsOf(world, id)).map(({ type }) => type.slice('delegation.'.length));

describe('a process that is killed', () => {
  it('leaves behind what is begun by another, what is sent once, and what failed', async ({ world }) => {
    const doomed = await world.process({ A2A_DELEGATIONS_AT_ONCE: '1' });
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const [from, to] = [await world.registry.create({ at: agent.url }), await world.registry.create({ at: agent.url })];
    for (const id of [from, to])
      await waitFor(async () => (await world.call(doomed, id, { body: 'x' })).status === 400, PATIENTLY);
    const inFlight = await delegate(world, doomed, from, to, 'in flight');
    await agent.waitForCalls(1, PATIENTLY.timeoutMs);
    const pending = await delegate(world, doomed, from, to, 'pending');
    const claimed = await delegate(world, doomed, from, to, 'claimed');
    doomed.child.kill('SIGKILL');
    await once(doomed.child, 'exit');
    // As if it had been killed later by a line: this one it had just said to carry out.
    const [sent] = await factsOf(world, claimed);
    const { taskPreview: _, by: __, ...about } = sent?.data ?? {};
    const { rows } = await world.database.query<{ message_id: string }>(
      'select message_id from delegation_tasks where tracking_id = $1',
      [claimed],
    );
    const messageId = rows[0]?.message_id;
    await world.database.query(
      `insert into events (id, stream, version, type, schema, nth, data, meta, recorded_at)
       values ($1, $2, 2, 'delegation.dispatched', 1, 1, $3, $4, now())`,
      [
        randomUUID(),
        `delegation.${claimed}`,
        { ...about, messageId, attempt: 1, worker: 'dead' },
        { workspaceId: from, commandId: 'claim' },
      ],
    );
    await world.database.query(
      "update delegations set status = 'dispatched', worker = 'dead', message_id = $2, attempt = 1 where tracking_id = $1",
      [claimed, messageId],
    );
    agent.behave({ kind: 'echo' });
    agent.release();

    const survivor = await world.proxy();
    expect(await resolved(world, survivor, from, inFlight)).toEqual({ status: 'failed', error: 'interrupted' });
    expect(await resolved(world, survivor, from, pending)).toEqual({ status: 'completed' });
    expect(await resolved(world, survivor, from, claimed)).toEqual({ status: 'completed' });
    expect(agent.messageIds.toSorted()).toEqual([inFlight, pending, claimed].toSorted());
    expect((await factsOf(world, inFlight)).at(-1)).toMatchObject({ type: 'delegation.failed', data: { via: 'recovery' } });
    expect(await typesOf(world, pending)).toEqual(['sent', 'dispatched', 'completed']);
    // Taken over under the same message id.
    expect(await typesOf(world, claimed)).toEqual(['sent', 'dispatched', 'dispatched', 'completed']);
    expect(await world.settled(survivor, 3)).toMatchObject({ balanced: true });
    expect(await world.facts(messageId ?? '')).toEqual(['a2a.dispatched', 'a2a.answered']);
    const report = await survivor.service.rebuild?.(true);
    expect(report?.projections.every(({ missing, unexpected }) => missing === 0 && unexpected === 0)).toBe(true);
  }, 60_000);

  it('after the answer came, and before that was written down: the reply is the one in the activity', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
    const ids = [await delegate(world, proxy, from, to, 'kept'), await delegate(world, proxy, from, to, 'lost')] as const;
    for (const id of ids) expect(await resolved(world, proxy, from, id)).toEqual({ status: 'completed' });
    await world.rows(proxy, to, 2);
    await proxy.close();
    await world.database.query("delete from events where type = 'delegation.completed'");
    await world.database.query(`
      update delegations set status = 'dispatched', worker = data ->> 'worker' from events
      where stream = 'delegation.' || tracking_id and type = 'delegation.dispatched'`);
    await world.database.query("delete from activity where method = 'delegate_result'");
    await world.database.query('delete from activity where id = (select message_id from delegations where tracking_id = $1)', [
      ids[1],
    ]);
    await world.database.query(
      'update activity set response_body = \'{"result":{"parts":[{"kind":"text","text":"said"}]}}\' where activity_type = \'a2a_receive\'',
    );

    const survivor = await world.proxy();
    const path = `/workspaces/${from}/delegations`;
    const entries = await waitFor(async () => {
      const { json } = await world.send(survivor, path, 'GET', { identity: admin });
      return json.length === 4 && json;
    }, PATIENTLY);
    const results = entries.filter((entry: { summary: string }) => !entry.summary.startsWith('Delegating'));
    expect(results.map((entry: { status: string }) => entry.status).toSorted()).toEqual(['completed', 'failed']);
    expect(results.find((entry: { status: string }) => entry.status === 'completed')).toMatchObject({
      delegation_id: ids[0],
      response_preview: 'said',
    });
    expect(await stateOf(world, survivor, from, ids[1])).toEqual({
      status: 'failed',
      error: 'interrupted: the target answered, and its reply was lost',
    });
    expect(agent.received).toHaveLength(2);
  }, 60_000);
});

describe('a process that is told to stop', () => {
  it('during the pause before the second call leaves that to another', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
    await agent.refuse();
    const id = await delegate(world, proxy, from, to, 'again');
    await waitFor(async () => (await world.audit(proxy)).failed === 1, { what: 'the first call to fail' });
    expect(await stateOf(world, proxy, from, id)).toEqual({ status: 'dispatched' });
    await proxy.close();
    await agent.comeBack();
    const next = await world.proxy();
    expect(await resolved(world, next, from, id)).toEqual({ status: 'completed' });
    expect((await factsOf(world, id)).flatMap(({ data }) => ('attempt' in data ? [data['attempt']] : []))).toEqual([1, 2]);
    expect(agent.messageIds).toEqual([id]);
  }, 60_000);

  it('while the target works ends the call, and says so', async ({ world }) => {
    const proxy = await world.proxy({ A2A_DRAIN_SECONDS: '0.3' });
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
    const id = await delegate(world, proxy, from, to, 'too long');
    await agent.waitForCalls(1);
    await proxy.close();
    const next = await world.proxy();
    expect(await stateOf(world, next, from, id)).toEqual({ status: 'failed', error: 'interrupted' });
    expect(agent.received).toHaveLength(1);
  });
});
