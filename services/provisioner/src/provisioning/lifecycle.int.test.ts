/** Restarts, pauses, and workloads that end by themselves: what the provisioner does about them, with real agents. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from '@molecule/bus';
import { ask as asks, id12, type WorkspaceId } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect, it as test } from 'vitest';
import { findByArgument } from '../backends/process/process-table.ts';
import { it, type World } from '../testing/world.ts';
import { healthDuty } from './health.ts';

const agentsOf = (world: World, workspaceId: string) => findByArgument(`--workspace=${world.installation}/${id12(workspaceId)}`);
const running = async (world: World, change: Parameters<World['create']>[0] = {}): Promise<WorkspaceId> => {
  const workspaceId = await world.create(change);
  await world.told(workspaceId, 'container.started');
  await world.move(workspaceId, 'online');
  return workspaceId;
};
/** Resolves when the run with this number runs. */
const runs = (world: World, workspaceId: WorkspaceId, run: number) =>
  waitFor(
    async () => {
      const row = await world.row(workspaceId);
      return row?.state === 'running' && row.run === run;
    },
    { timeoutMs: 15_000, what: `run ${run}` },
  );
const nothingRuns = (world: World, workspaceId: WorkspaceId) =>
  waitFor(async () => (await agentsOf(world, workspaceId)).length === 0, { timeoutMs: 15_000, what: 'the agent to end' });

describe('a restart', { timeout: 60_000 }, () => {
  it('R1: twenty at once never have two agents, and end with one', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await running(world);
    let most = 0;
    let over = false;
    const watching = (async () => {
      while (!over) most = Math.max(most, (await agentsOf(world, workspaceId)).length);
    })();
    const stop = (n: number) =>
      ask(world.bus, asks.provisioner.stop, { workspaceId, removeVolume: false, commandId: `${n}` }, { timeoutMs: 30_000 });
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await stop(n);
        await world.move(workspaceId, 'provisioning');
      }),
    );
    await runs(world, workspaceId, 21);
    over = true;
    await watching;
    expect(most).toBe(1);
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
    expect((await world.log(workspaceId)).at(-1)).toBe('container.started');
  });

  it('from a template writes it over what is there, once; an ordinary one leaves it', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await running(world);
    const config = join(world.configs(workspaceId), 'config.yaml');
    await writeFile(config, 'name: Grace\nruntime: echo\n');
    await world.move(workspaceId, 'provisioning', { template: 'echo', resetSession: false });
    await runs(world, workspaceId, 2);
    const written = await readFile(config, 'utf8');
    expect(written).not.toContain('Grace');
    await writeFile(config, 'name: Grace\nruntime: echo\n');
    await world.move(workspaceId, 'provisioning');
    await runs(world, workspaceId, 3);
    expect(await readFile(config, 'utf8')).toContain('Grace');
    await world.move(workspaceId, 'provisioning', { template: 'no-such', resetSession: false });
    await runs(world, workspaceId, 4);
    expect(await readFile(config, 'utf8')).toContain('Grace');
  });

  it('by a killed provisioner is finished by the next, as it was meant', async ({ world }) => {
    const killed = await world.provisionerProcess();
    const workspaceId = await running(world);
    const config = join(world.configs(workspaceId), 'config.yaml');
    await writeFile(config, 'name: Grace\nruntime: echo\n');
    await world.move(workspaceId, 'provisioning', { template: 'echo', resetSession: true });
    await waitFor(async () => (await world.log(workspaceId)).filter((type) => type === 'container.starting').length === 2, {
      what: 'the start to be taken on',
    });
    killed.kill('SIGKILL');
    await world.provisioner();
    await waitFor(async () => (await world.row(workspaceId))?.state === 'running', { timeoutMs: 15_000, what: 'the agent' });
    expect(await readFile(config, 'utf8')).not.toContain('Grace');
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
  });

  it('is told which runtime the running configuration names', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await running(world);
    const configured = async () => (await ask(world.bus, asks.provisioner.configuredRuntime, { workspaceId })).runtime;
    expect(await configured()).toBe('echo');
    await writeFile(join(world.configs(workspaceId), 'config.yaml'), 'name: x\nruntime: hermes\n');
    expect(await configured()).toBe('hermes');
    await ask(world.bus, asks.provisioner.stop, { workspaceId, removeVolume: false, commandId: 'stop' }, { timeoutMs: 10_000 });
    expect(await configured()).toBeNull();
  });
});

describe('a pause', { timeout: 60_000 }, () => {
  it('stops what runs, although nobody asked, and a resume starts it again', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await running(world);
    await world.move(workspaceId, 'paused');
    await nothingRuns(world, workspaceId);
    await world.told(workspaceId, 'container.stopped');
    expect((await readFile(join(world.configs(workspaceId), 'config.yaml'), 'utf8')).length).toBeGreaterThan(0);
    await world.move(workspaceId, 'provisioning');
    await runs(world, workspaceId, 2);
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
  });

  it('gives up a start that is under way', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.logHas(workspaceId, 'container.starting');
    await world.move(workspaceId, 'paused');
    await world.told(workspaceId, 'container.stopped');
    expect(await agentsOf(world, workspaceId)).toEqual([]);
    expect(await world.log(workspaceId)).not.toContain('provision.failed');
  });

  it.for(['paused', 'hibernated'] as const)(
    'of which nobody heard is made good: what is %s while no provisioner is there is stopped by the next',
    async (status, { world }) => {
      const killed = await world.provisionerProcess();
      const workspaceId = await running(world);
      killed.kill('SIGKILL');
      expect(await agentsOf(world, workspaceId)).toHaveLength(1);
      await world.move(workspaceId, status);
      await world.provisioner();
      await nothingRuns(world, workspaceId);
    },
  );
});

describe('a workload that ends by itself', { timeout: 60_000 }, () => {
  it('is told of once, with its run', async ({ world }) => {
    await world.provisioner();
    const [workspaceId, alive] = [await running(world), await running(world)];
    const [pid] = await agentsOf(world, workspaceId);
    if (pid === undefined) throw new Error('no agent runs');
    process.kill(pid, 'SIGKILL');
    expect((await world.told(workspaceId, 'container.exited')).data).toEqual({ workspaceId, run: 1 });
    await world.move(workspaceId, 'provisioning');
    await runs(world, workspaceId, 2);
    expect((await world.log(workspaceId)).filter((type) => type === 'container.exited')).toHaveLength(1);
    expect(await world.log(alive)).toEqual(['container.starting', 'container.started']);
  });
});

test.each([
  ['online', 'look'],
  ['degraded', 'look'],
  ['paused', 'stop'],
  ['hibernated', 'stop'],
  ['hibernating', 'nothing'],
  ['provisioning', 'nothing'],
  ['offline', 'nothing'],
  ['failed', 'nothing'],
  ['awaiting_agent', 'nothing'],
  ['removed', 'nothing'], // the sweeper's business (I8)
  [undefined, 'nothing'],
] as const)('what is %s and believed to run: %s', (status, duty) => expect(healthDuty(status)).toBe(duty));
