/**
 * The story once more, with agents in containers of the real engine: made, reached, killed, noticed, removed; and what is left over
 * reaped, but never what is not ours (I8). Nothing is pulled: the echo image is made of what is on this machine.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { id12 } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { Engine, engineOrSkip, LABELS } from './harness/docker.ts';

const LEASE_SECONDS = 4;
const INSTALLATION = `e2e-${randomUUID().slice(0, 8)}`;
const MIB = 1024 * 1024;

const docker = await engineOrSkip();

describe.runIf(docker !== undefined)('on the Docker backend', () => {
  let engine: Engine;
  let image: string;
  let cluster: Cluster | undefined;
  let client: Client;

  beforeAll(async () => {
    if (docker === undefined) return;
    engine = new Engine(docker);
    image = await engine.echoImage();
    cluster = await Cluster.start({
      env: {
        PROVISIONER_BACKEND: 'docker',
        MOLECULE_INSTALLATION: INSTALLATION,
        // The gateway listens on loopback alone, which a container reaches from the machine's own network only.
        MOLECULE_DOCKER_NETWORK: 'host',
        LIVENESS_LEASE_SECONDS: String(LEASE_SECONDS),
        SWEEP_INTERVAL_SECONDS: '1',
        ORPHAN_GRACE_SECONDS: '1',
      },
    });
    client = new Client(cluster.url());
  }, 240_000);

  afterAll(async () => {
    // The platform first: it would start again what is removed under it.
    await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
    await engine?.clean();
  });

  it('files go into a container and come back as they went, through every service on the way', async () => {
    const id = await client.create('files', { runtime: 'echo', tier: 2 });
    const prefix = engine.track(id);
    await client.reaches(id, 'online', 60_000);
    const content = randomBytes(25 * MIB);
    const form = new FormData();
    form.append('files', new Blob([content]), 'my large file.bin');
    form.append('files', new File(['# Notes'], 'notes.md', { type: 'text/markdown' }));
    const stored = await fetch(`${cluster?.url()}/workspaces/${id}/chat/uploads`, { method: 'POST', body: form });
    const { files } = (await stored.json()) as { files: { uri: string }[] };
    const uri = expect.stringMatching(/^workspace:\/workspace\/\.molecule\/chat-uploads\/[0-9a-f]{32}-/);
    expect(files).toEqual([
      { uri, name: 'my_large_file.bin', mimeType: 'application/octet-stream', size: content.length },
      { uri, name: 'notes.md', mimeType: 'text/markdown', size: 7 },
    ]);
    const [large, notes] = files.map((file) => file.uri.slice('workspace:'.length)) as [string, string];
    expect(await engine.file(prefix, notes)).toEqual({ mode: 0o644, text: '# Notes' });
    const back = await fetch(`${cluster?.url()}/workspaces/${id}/chat/download?path=${encodeURIComponent(large)}`);
    expect(back.headers.get('content-length')).toBe(`${content.length}`);
    expect(Buffer.from(await back.arrayBuffer()).equals(content)).toBe(true);
    expect((await client.delete(`/workspaces/${id}?confirm=true`)).status).toBe(200);
  });

  it('a workspace is a container that answers, is killed and noticed, and leaves nothing', async () => {
    const canvas = await client.socket();
    const id = await client.create('atlas', { runtime: 'echo', tier: 2 });
    const prefix = engine.track(id);
    await client.reaches(id, 'online', 60_000);
    await canvas.hears(id, 'WORKSPACE_HEARTBEAT');
    expect(canvas.eventsOf(id).slice(0, 3)).toEqual(['WORKSPACE_PROVISIONING', 'WORKSPACE_ONLINE', 'WORKSPACE_HEARTBEAT']);

    expect(await engine.container(prefix)).toMatchObject({
      Name: `/ws-${prefix}`,
      State: { Running: true },
      Config: { Image: image, Labels: { [LABELS.managed]: 'true', [LABELS.installation]: INSTALLATION } },
      HostConfig: {
        Memory: 512 * MIB,
        NanoCpus: 1e9,
        PidsLimit: 512,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Privileged: false,
      },
      Mounts: expect.arrayContaining([
        expect.objectContaining({ Type: 'volume', Name: `ws-${prefix}-configs`, Destination: '/configs' }),
      ]),
    });
    expect((await engine.volume(prefix))?.Labels).toMatchObject({ [LABELS.installation]: INSTALLATION });
    expect(await engine.file(prefix, '/configs/.auth_token')).toEqual({
      mode: 0o600,
      text: expect.stringMatching(/^[\w-]{43}$/),
    });

    const answer = await client.send(id, 'hello');
    expect(answer).toMatchObject({ status: 200, body: { jsonrpc: '2.0', id: 'hello' } });
    expect(JSON.stringify(answer.body.result)).toContain('hello');
    const row = await waitFor(async () => (await client.get(`/workspaces/${id}/activity`)).body[0], { what: 'the activity row' });
    expect(row).toMatchObject({
      activity_type: 'a2a_receive',
      status: 'ok',
      method: 'message/send',
      summary: 'message/send → atlas',
      source_id: null,
    });

    await engine.kill(prefix);
    await canvas.hears(id, 'WORKSPACE_OFFLINE');
    await client.reaches(id, 'online', 60_000); // started again by itself

    expect(await client.delete(`/workspaces/${id}`)).toEqual({ status: 200, body: { status: 'removed', cascade_deleted: 0 } });
    await canvas.hears(id, 'WORKSPACE_REMOVED');
    expect([await engine.container(prefix), await engine.volume(prefix)]).toEqual([undefined, undefined]);
    canvas.close();
  });

  it('a workspace is gone with its container when it is deleted alive', async () => {
    const id = await client.create('brief', { runtime: 'echo', tier: 1 });
    const prefix = engine.track(id);
    await client.reaches(id, 'online', 60_000);
    expect((await engine.container(prefix))?.HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'] });
    expect((await client.delete(`/workspaces/${id}`)).body.status).toBe('removed');
    expect([await engine.container(prefix), await engine.volume(prefix)]).toEqual([undefined, undefined]);
    expect(await client.status(id)).toBe('removed');
  });

  it('what is left over is reaped after its grace, and nothing else', async () => {
    const id = await client.create('at-work', { runtime: 'echo', tier: 2 });
    const atWork = engine.track(id);
    await client.reaches(id, 'online', 60_000);
    const [foreign, unlabelled, ours, last] = [aPrefix(), aPrefix(), aPrefix(), aPrefix()] as const;
    await engine.leave(foreign, image, { installation: `${INSTALLATION}-other` });
    await engine.leave(unlabelled, image);
    const made = await engine.leave(ours, image, { installation: INSTALLATION });
    const found = await reaped(ours);
    expect(found).toMatchObject({ evidence: { cause: 'no-row', backend: 'docker', volumeRemoved: true } });
    expect(Date.parse(found.found_at)).toBeGreaterThanOrEqual(made + 1_000);

    // A whole pass later than all of that, the others are still there.
    await engine.leave(last, image, { installation: INSTALLATION });
    await reaped(last);
    for (const prefix of [foreign, unlabelled, atWork]) {
      expect((await engine.container(prefix))?.State.Running, prefix).toBe(true);
      expect(await engine.volume(prefix), prefix).toBeDefined();
    }
    const named = (await client.get('/admin/sweeps')).body.map(({ about }: Finding) => about);
    for (const about of [foreign, unlabelled, atWork, id]) expect(named).not.toContain(about);
    expect(await client.status(id)).toBe('online');
  });

  /** Resolves when neither container nor volume is left, with what the sweeper says of it. */
  async function reaped(prefix: string): Promise<Finding> {
    await waitFor(async () => !(await engine.container(prefix)) && !(await engine.volume(prefix)), {
      timeoutMs: 30_000,
      what: `the leftover ${prefix} to be reaped`,
    });
    return await waitFor(
      async () => {
        const findings: Finding[] = (await client.get('/admin/sweeps')).body;
        return findings.find(({ kind, about }) => kind === 'orphan.reaped' && about === prefix);
      },
      { what: `the sweeper to say that it reaped ${prefix}` },
    );
  }
});

interface Finding {
  readonly kind: string;
  readonly about: string;
  readonly found_at: string;
  readonly evidence: unknown;
}

const aPrefix = (): string => id12(randomUUID());
