import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from '@molecule/bus';
import { ask as asks, id12 } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { findByArgument, startTimeOf } from '../backends/process/process-table.ts';
import { it, type World } from '../testing/world.ts';

const agentsOf = (world: World, workspaceId: string) => findByArgument(`--workspace=${world.installation}/${id12(workspaceId)}`);
const cardOf = async (url: string) => (await fetch(`${url}/.well-known/agent-card.json`)).json();

describe('a workspace that was created', { timeout: 40_000 }, () => {
  it('gets an agent that knows its name and its token', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    const { data } = await world.told(workspaceId, 'container.started');
    expect(data).toMatchObject({ workspaceId, run: 1, backend: 'process' });
    expect(await cardOf(data.url)).toMatchObject({ name: 'Ada', description: 'Mathematician' });
    const { url, tokenHash } = await world.registered(workspaceId);
    expect(url).toBe(data.url);
    expect(tokenHash).toBe(world.token(workspaceId));
    expect(await world.row(workspaceId)).toEqual({ state: 'running', run: 1, url: data.url, backend: 'process' });
  });

  it('has its token in a file that only its user reads, and nowhere else (I10)', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    const file = join(world.configs(workspaceId), '.auth_token');
    const token = await readFile(file, 'utf8');
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(world.facts)).not.toContain(token);
  });

  it('is given the git identity of its agent', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create({ name: 'Ada L.' });
    await world.told(workspaceId, 'container.started');
    const [pid] = await agentsOf(world, workspaceId);
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
    expect(environment).toContain('GIT_AUTHOR_NAME=Molecule AI Ada L.');
    expect(environment).toContain('GIT_COMMITTER_EMAIL=ada-l@agents.moleculesai.app');
    expect(environment).toContain('MOLECULE_AGENT_ROLE=Mathematician');
    expect(environment).not.toContain('MOLECULE_INTERNAL_KEY');
  });

  it('is told of its parent when its team was expanded, and only then', async ({ world }) => {
    await world.provisioner();
    const parent = await world.create({ name: 'Boss' });
    const member = await world.create({ name: 'Member', parentId: parent, by: 'expand' });
    const child = await world.create({ name: 'Child', parentId: parent });
    for (const id of [parent, member, child]) await world.told(id, 'container.started');
    const environmentOf = async (id: string) => readFile(`/proc/${(await agentsOf(world, id))[0]}/environ`, 'utf8');
    expect(await environmentOf(member)).toContain(`PARENT_ID=${parent}`);
    expect(await environmentOf(child)).not.toContain('PARENT_ID');
  });

  it('is left alone when it is external', async ({ world }) => {
    await world.provisioner();
    const external = await world.create({ external: true, runtime: 'external', status: 'awaiting_agent' });
    await world.told(await world.create(), 'container.started');
    expect(await world.log(external)).toEqual([]);
  });

  it('says one canned sentence when it cannot be started, and nothing of why (I10)', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create({ runtime: 'langgraph' });
    const { data } = await world.told(workspaceId, 'provision.failed');
    expect(data).toEqual({ workspaceId, run: 1, error: 'workspace start failed', sampleError: 'workspace start failed' });
    for (const leak of ['langgraph cannot', 'Docker', world.home, 'ghcr.io']) {
      expect(JSON.stringify(world.facts.filter(({ type }) => type === 'provision.failed'))).not.toContain(leak);
    }
    expect(await world.row(workspaceId)).toMatchObject({ state: 'failed' });
  });

  it.for([{ runtime: 'langgraph' }, { runtime: 'constructor' }, { workspaceDir: '/tmp', workspaceAccess: 'read_only' } as const])(
    'keeps the tokens of whoever registered for it when no backend of its kind could run it: %j',
    async (workspace, { world }) => {
      const workspaceId = await world.create(workspace);
      await world.registry.issueToken(workspaceId, 'a'.repeat(64));
      await world.provisioner();
      await world.told(workspaceId, 'provision.failed');
      expect([world.token(workspaceId), world.registry.asked.replaceTokens]).toEqual(['a'.repeat(64), 0]);
    },
  );

  it('has nothing left of it when it is removed', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    const { data } = await world.told(workspaceId, 'container.started');
    await world.remove(workspaceId);
    expect((await world.told(workspaceId, 'container.stopped')).data).toEqual({ workspaceId, volumeRemoved: true });
    await expect(fetch(data.url)).rejects.toThrow();
    await expect(stat(world.configs(workspaceId))).rejects.toThrow('ENOENT');
    expect(await agentsOf(world, workspaceId)).toEqual([]);
  });

  it('has nothing left of it when it is removed while it starts (I5)', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.logHas(workspaceId, 'container.starting');
    await world.remove(workspaceId);
    await world.told(workspaceId, 'container.stopped');
    expect(await agentsOf(world, workspaceId)).toEqual([]);
    await expect(stat(world.configs(workspaceId))).rejects.toThrow('ENOENT');
    expect(await world.row(workspaceId)).toMatchObject({ state: 'stopped' });
  });

  it('keeps what its user wrote when it is started again, and gets a new token', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    const token = world.token(workspaceId);
    const config = parse(await readFile(join(world.configs(workspaceId), 'config.yaml'), 'utf8'));
    expect(config).toMatchObject({ name: 'Ada', runtime: 'echo', tier: 2 });
    await world.say(workspaceId, { type: 'workspace.changed', data: { name: 'Grace' } });
    await world.setStatus(workspaceId, 'online', 'provisioning');
    const again = await waitFor(
      () =>
        world.facts.find((fact) => fact.type === 'container.started' && fact.workspaceId === workspaceId && fact.data.run === 2),
      { timeoutMs: 15_000, what: 'the second start' },
    );
    expect(again.type === 'container.started' && (await cardOf(again.data.url))).toMatchObject({ name: 'Ada' });
    expect(world.token(workspaceId)).not.toBe(token);
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
  });
});

describe('a provisioner that ends', { timeout: 60_000 }, () => {
  it('by kill -9 in the middle of a start: the next one finishes it, with one agent (I6)', async ({ world }) => {
    const killed = await world.provisionerProcess();
    const workspaceId = await world.create();
    await world.logHas(workspaceId, 'container.starting');
    killed.kill('SIGKILL');
    await world.provisioner();
    const { data } = await world.told(workspaceId, 'container.started');
    expect(await cardOf(data.url)).toMatchObject({ name: 'Ada' });
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
    expect((await world.log(workspaceId)).filter((type) => type === 'container.started')).toHaveLength(1);
  });

  it('by kill -9 leaves its agents at work, and the next one knows them', async ({ world }) => {
    const killed = await world.provisionerProcess();
    const workspaceId = await world.create();
    const { data } = await world.told(workspaceId, 'container.started');
    const agents = await agentsOf(world, workspaceId);
    killed.kill('SIGKILL');
    await world.provisioner();
    expect(await cardOf(data.url)).toMatchObject({ name: 'Ada' });
    const running = await ask(world.bus, asks.provisioner.isRunning, { workspaceId });
    expect(running).toEqual({ running: true, certain: true });
    expect(await agentsOf(world, workspaceId)).toEqual(agents);
  });

  it('in order stops its agents, and the next one starts what should run', async ({ world }) => {
    const stop = await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    await world.setStatus(workspaceId, 'provisioning', 'online');
    const [pid] = await agentsOf(world, workspaceId);
    await stop();
    expect(pid === undefined ? 'none' : await startTimeOf(pid)).toBeUndefined();
    await world.provisioner();
    await waitFor(async () => (await world.row(workspaceId))?.run === 2 && (await world.row(workspaceId))?.state === 'running', {
      timeoutMs: 15_000,
      what: 'the agent to run again',
    });
    expect(await agentsOf(world, workspaceId)).toHaveLength(1);
  });
});

describe('other services', { timeout: 40_000 }, () => {
  it('ask which backend there is, what it made, and whether it runs', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    const { installation } = world;
    expect(await ask(world.bus, asks.provisioner.backend, {})).toEqual({ backend: 'process', installation });
    const { resources } = await ask(world.bus, asks.provisioner.listManaged, {});
    expect(resources).toMatchObject([{ prefix: id12(workspaceId), running: true, installation }]);
    const health = await ask(world.bus, asks.health.provisioner, {});
    expect(health).toMatchObject({ service: 'provisioner', ready: true });
    expect(await ask(world.bus, asks.rebuild.provisioner, { check: true })).toMatchObject({
      projections: [{ table: 'containers', rows: 1, missing: 0, unexpected: 0 }],
    });
  });

  it('stop a workload; a second time there is nothing to stop', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    const stop = (commandId: string, removeVolume: boolean) =>
      ask(world.bus, asks.provisioner.stop, { workspaceId, removeVolume, commandId }, { timeoutMs: 10_000 });
    expect(await stop('first', false)).toEqual({ outcome: 'stopped', volumeRemoved: false });
    expect(await stop('first', false)).toEqual({ outcome: 'not-found', volumeRemoved: false });
    expect(await stop('second', true)).toEqual({ outcome: 'not-found', volumeRemoved: true });
    expect(await world.log(workspaceId)).toEqual([
      'container.starting',
      'container.started',
      'container.stopped',
      'container.stopped',
    ]);
  });

  it('have a leftover reaped, and only what is ours (I8)', async ({ world }) => {
    await world.provisioner();
    const workspaceId = await world.create();
    await world.told(workspaceId, 'container.started');
    const reap = (prefix: string) => ask(world.bus, asks.provisioner.reap, { prefix }, { timeoutMs: 10_000 });
    expect(await reap('0b6c2f53-6d5')).toEqual({ outcome: 'not-found', volumeRemoved: false });
    expect(await reap(id12(workspaceId))).toEqual({ outcome: 'stopped', volumeRemoved: true });
    expect(await agentsOf(world, workspaceId)).toEqual([]);
  });

  it('hear that there is no backend, and nothing crashes', async ({ world }) => {
    await world.provisioner({ PROVISIONER_BACKEND: 'none' });
    const workspaceId = await world.create();
    expect(await ask(world.bus, asks.provisioner.backend, {})).toMatchObject({ backend: 'none' });
    const stopped = await ask(world.bus, asks.provisioner.stop, { workspaceId, removeVolume: true, commandId: 'x' });
    expect(stopped).toEqual({ outcome: 'no-backend', volumeRemoved: false });
    expect(await ask(world.bus, asks.provisioner.isRunning, { workspaceId })).toEqual({ running: true, certain: false });
    expect(await ask(world.bus, asks.provisioner.listManaged, {})).toEqual({ backend: 'none', resources: [] });
    expect(await world.log(workspaceId)).toEqual([]);
  });
});

describe('with Docker', { timeout: 90_000 }, () => {
  const env = { PROVISIONER_BACKEND: 'docker', MOLECULE_DOCKER_NETWORK: 'host' };

  it('a killed provisioner is followed by one that ends with exactly one container, and none after the removal', async ({
    world,
    docker,
  }) => {
    const killed = await world.provisionerProcess(env);
    const workspaceId = await world.create();
    await world.logHas(workspaceId, 'container.starting');
    killed.kill('SIGKILL');
    await world.provisioner(env);
    const { data } = await world.told(workspaceId, 'container.started');
    const { tokenHash } = await world.registered(workspaceId);
    expect(tokenHash).toBe(world.token(workspaceId));
    expect(data.backend).toBe('docker');
    const filters = { label: [`molecule.platform.installation=${world.installation}`] };
    expect(await docker.listContainers({ all: true, filters })).toHaveLength(1);

    await world.remove(workspaceId);
    await world.told(workspaceId, 'container.stopped');
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    expect((await docker.listVolumes({ filters })).Volumes ?? []).toEqual([]);
    await docker.getVolume(`ws-${workspaceId}-workspace`).remove({ force: true });
  });
});
