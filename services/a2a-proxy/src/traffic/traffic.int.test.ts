import { ask as over } from '@molecule/bus';
import { ask, WorkspaceId } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message } from '../testing/world.ts';

describe('traffic', () => {
  it('counts what is open in every process, and ends with it', async ({ world, bus }) => {
    const [one, another] = [await world.proxy(), await world.proxy()];
    const agent = await world.agent();
    const [id, idle] = [await world.workspace(agent), await world.workspace(agent)];
    const open = async (of: string) =>
      (await over(bus, ask['a2a-proxy'].traffic, { workspaceId: WorkspaceId.parse(of) })).openCalls;
    expect(await open(id)).toBe(0);
    const gate = agent.gate();
    const calls = [one, another, another].map((proxy) => world.call(proxy, id, { body: message('wait') }));
    await agent.waitForCalls(3);
    await waitFor(async () => (await open(id)) === 3, { what: 'three open calls' });
    expect(await open(idle)).toBe(0);
    gate.open();
    await Promise.all(calls);
    await waitFor(async () => (await open(id)) === 0, { what: 'no open calls' });
  });

  it('knows when a workspace last reached somebody, and that some never did', async ({ world, bus }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const [caller, target] = [await world.workspace(agent), await world.workspace(agent)];
    const last = async (of: string) =>
      (await over(bus, ask['a2a-proxy'].traffic, { workspaceId: WorkspaceId.parse(of) })).lastOutboundAt;
    const reach = () => world.call(proxy, target, { headers: { 'x-workspace-id': caller } });
    agent.behaveNext({ kind: 'status', status: 500 });
    await reach();
    await world.rows(proxy, target, 1);
    expect(await last(caller)).toBeNull();
    const before = Date.now();
    expect((await reach()).status).toBe(200);
    const at = await waitFor(() => last(caller), { what: 'the time of the call' });
    expect(Date.parse(at)).toBeGreaterThanOrEqual(before);
    expect(await last(target)).toBeNull();
  });
});
