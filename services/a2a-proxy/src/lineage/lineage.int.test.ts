/** Agents that call each other: what the proxy knows of it, and what it refuses. */
import type { Lineage } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, it, message, type Running, type World } from '../testing/world.ts';

type Proxy = Pick<Running, 'url'>;
/** As its agent calls another. */
const callAs = (world: World, proxy: Proxy, from: string, to: string, text = 'hello') =>
  world.call(proxy, to, { headers: { 'x-workspace-id': from }, body: message(text, text) });
/** What the log says of the calls to a workspace. */
const lineagesTo = async (world: World, id: string): Promise<(Lineage | null)[]> => {
  const { rows } = await world.database.query<{ lineage: Lineage | null }>(
    `select distinct on (stream) data -> 'lineage' as lineage, position from events
     where data ->> 'workspaceId' = $1 and data ? 'source' order by stream, position`,
    [id],
  );
  return rows.map(({ lineage }) => lineage);
};

/** Three workspaces that may talk to each other, each with an agent of its own that does not answer until it is told to. */
const team = async (world: World, env = {}) => {
  const proxy = await world.proxy(env);
  const agents = await Promise.all([1, 2, 3].map(() => world.agent({ behaviour: { kind: 'hang' } })));
  const ids: string[] = [];
  for (const [n, agent] of agents.entries())
    ids.push(await world.workspace(agent, { name: ['Lead', 'Helper', 'Expert'][n] ?? '' }));
  const [a, b, c] = ids as [string, string, string];
  const [atA, atB, atC] = agents as [(typeof agents)[0], (typeof agents)[0], (typeof agents)[0]];
  const release = () => {
    for (const agent of agents) {
      agent.behave({ kind: 'echo' });
      agent.release();
    }
  };
  return { proxy, a, b, c, atA, atB, atC, release };
};

describe('a circle', () => {
  it('is refused before anything is sent, in words for the agent that asked', async ({ world }) => {
    const { proxy, a, b, c, atA, atB, atC, release } = await team(world);
    const open = [world.call(proxy, a)];
    await atA.waitForCalls(1);
    open.push(callAs(world, proxy, a, b));
    await atB.waitForCalls(1);
    open.push(callAs(world, proxy, b, c));
    await atC.waitForCalls(1);
    const refused = await callAs(world, proxy, c, a);
    expect([refused.status, refused.json]).toEqual([
      409,
      {
        error:
          'this call would close a circle: Lead → Helper → Expert → Lead. Lead already takes part in this task and waits for what comes of it, so it is not called again: put what you have to tell or to ask it into your own reply',
        code: 'a2a_cycle',
        chain: [a, b, c, a],
      },
    ]);
    expect(await world.figure(proxy, 'a2a_lineage_refused_total{why="cycle"}')).toBe(1);
    expect(atA.received).toHaveLength(1);
    release();
    expect((await Promise.all(open)).map(({ status }) => status)).toEqual([200, 200, 200]);
    // Nothing is open any more: whoever calls now begins anew.
    expect((await callAs(world, proxy, c, a)).status).toBe(200);
    await world.settled(proxy, 4);
    const [toB] = await lineagesTo(world, b);
    expect(toB).toEqual({ rootId: expect.any(String), parentId: toB?.rootId, depth: 1, ancestors: [a] });
    const [toC] = await lineagesTo(world, c);
    expect(toC).toEqual({ rootId: toB?.rootId, parentId: expect.any(String), depth: 2, ancestors: [a, b] });
    expect((await lineagesTo(world, a)).filter((lineage) => lineage !== null)).toEqual([
      { rootId: expect.any(String), parentId: null, depth: 1, ancestors: [c] },
    ]);
    // Rejections before dispatch write no row (spec 2 §1.11).
    expect(await world.activity(proxy, a)).toHaveLength(2);
  });

  it('is none where the caller has another reason to call, and none where it calls itself', async ({ world }) => {
    const { proxy, a, b, atA, atB, release } = await team(world);
    const open = [world.call(proxy, a)];
    await atA.waitForCalls(1);
    open.push(callAs(world, proxy, a, b));
    await atB.waitForCalls(1);
    open.push(world.call(proxy, b));
    await atB.waitForCalls(2);
    open.push(callAs(world, proxy, b, a));
    await atA.waitForCalls(2);
    open.push(callAs(world, proxy, b, b));
    await atB.waitForCalls(3);
    release();
    expect((await Promise.all(open)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });
});

describe('a chain', () => {
  it('has no more calls of agents than may be', async ({ world }) => {
    const { proxy, a, b, c, atA, atB, release } = await team(world, { A2A_MAX_DEPTH: '1' });
    const open = [world.call(proxy, a)];
    await atA.waitForCalls(1);
    open.push(callAs(world, proxy, a, b));
    await atB.waitForCalls(1);
    const refused = await callAs(world, proxy, b, c);
    expect([refused.status, refused.json]).toEqual([
      409,
      {
        error:
          'too many agents have called each other for this task (1 calls in a row are the most): Lead → Helper → Expert. Do what is left yourself, or say in your own reply what is to be done by others',
        code: 'a2a_depth',
        chain: [a, b, c],
        limit: 1,
      },
    ]);
    release();
    await Promise.all(open);
  });
});

describe('what led to a message', () => {
  it('is known when it was queued, over a restart, while it is delivered', async ({ world }) => {
    const { proxy, a, b, atA, atB, release } = await team(world);
    const open = world.call(proxy, a);
    await atA.waitForCalls(1);
    atB.behave({ kind: 'reset' });
    expect((await callAs(world, proxy, a, b, 'waits')).status).toBe(202);
    atA.behave({ kind: 'echo' });
    atA.release();
    await open;
    await proxy.close();
    const next = await world.proxy();
    atB.behave({ kind: 'hang' });
    world.beat(b);
    await atB.waitForCalls(1);
    const refused = await callAs(world, next, b, a);
    expect([refused.status, refused.json.chain]).toEqual([409, [a, b, a]]);
    release();
    await world.settled(next, 2);
    const report = await next.service.rebuild?.(true);
    expect(report?.projections.every(({ missing, unexpected }) => missing === 0 && unexpected === 0)).toBe(true);
  });

  it('is known to every replica', async ({ world }) => {
    const { proxy, a, b, atA, atB, release } = await team(world);
    const other = await world.proxy();
    await world.known();
    const open = [world.call(proxy, a)];
    await atA.waitForCalls(1);
    atA.behave({ kind: 'echo' });
    const written = (id: string, count: number) =>
      waitFor(
        async () =>
          (await world.database.query("select 1 from events where data ->> 'workspaceId' = $1", [id])).rows.length >= count,
      );
    await written(a, 1);
    // Until they know of each other, the call of A is one of its own accord.
    await waitFor(
      async () => {
        open.push(callAs(world, other, a, b));
        await atB.waitForCalls(1);
        await written(b, 1);
        const known = (await lineagesTo(world, b)).at(-1)?.parentId !== null;
        if (!known) {
          atB.release();
          await open.pop();
        }
        return known;
      },
      { what: 'the replicas to know of each other' },
    );
    const refused = await waitFor(async () => {
      const answer = await callAs(world, proxy, b, a);
      return answer.status === 409 && answer;
    });
    expect(refused.json).toMatchObject({ code: 'a2a_cycle', chain: [a, b, a] });
    release();
    await Promise.all(open);
  });

  it('is known of a delegation from when it was asked for, and a circle of delegations fails', async ({ world }) => {
    const { proxy, a, b, atA, atB, release } = await team(world);
    const delegate = (from: string, to: string) =>
      world.send(proxy, `/workspaces/${from}/delegate`, 'POST', {
        identity: admin,
        body: JSON.stringify({ target_id: to, task: 't' }),
      });
    const open = world.call(proxy, a);
    await atA.waitForCalls(1);
    const first = await delegate(a, b);
    await atB.waitForCalls(1);
    // The call that it came from has ended; that is what it came from all the same.
    atA.behave({ kind: 'echo' });
    atA.release();
    await open;
    const back = await delegate(b, a);
    const failed = await waitFor(async () => {
      const path = `/workspaces/${b}/delegations`;
      const [entry] = (await world.send(proxy, path, 'GET', { identity: admin })).json;
      return entry?.status === 'failed' && entry;
    });
    expect(failed.error).toContain('this call would close a circle: Lead → Helper → Lead.');
    release();
    await world.settled(proxy, 2);
    const [lineage] = await lineagesTo(world, b);
    expect(lineage).toEqual({ rootId: expect.any(String), parentId: lineage?.rootId, depth: 1, ancestors: [a] });
    const trace = await world.send(proxy, `/admin/trace/${first.json.delegation_id}`, 'GET', { identity: admin });
    expect(trace.json.messages.map(({ to, depth }: { to: { name: string }; depth: number }) => [to.name, depth])).toEqual([
      ['Lead', 0],
      ['Helper', 1],
    ]);
    expect(trace.json.delegations).toMatchObject([{ delegation_id: first.json.delegation_id }]);
    expect(back.status).toBe(202);
  });
});
