/** A team from outside (spec 1 §1.9): six service processes, templates on disk, an agent process for each member. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { id12 } from '@molecule/contracts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';

const TEMPLATES = {
  'research-team': `name: Research team
runtime: echo
runtime_config: { timeout: 0, provision_timeout_seconds: 120 }
sub_workspaces:
  - { config: member, name: Reader, role: reads }
  - { config: member, name: Writer }
`,
  member: 'name: A member\nruntime: echo\nruntime_config: { timeout: 0 }\n',
};

let templates: string;
let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  templates = await mkdtemp(join(tmpdir(), 'molecule-templates-'));
  for (const [name, config] of Object.entries(TEMPLATES)) {
    await mkdir(join(templates, name));
    await writeFile(join(templates, name, 'config.yaml'), config);
  }
  cluster = await Cluster.start({ env: { CONFIGS_DIR: templates } });
  client = new Client(cluster.url());
});

afterAll(async () => {
  await cluster?.stop();
  await rm(templates, { recursive: true, force: true });
});

/** What the disk holds of a workspace. */
const leftOf = async (id: string) => (await readdir(join(cluster.home, 'workspaces'))).filter((name) => name.includes(id12(id)));

it('is made of its template, works, and is taken apart again', async () => {
  const parent = await client.create('Research Team', { template: 'research-team' });
  await client.reaches(parent, 'online');
  expect((await client.get(`/workspaces/${parent}`)).body).toMatchObject({ runtime: 'echo', provision_timeout_ms: 120_000 });

  const canvas = await client.socket();
  const expanded = await client.post(`/workspaces/${parent}/expand`);
  expect([expanded.status, expanded.body]).toEqual([
    200,
    {
      status: 'expanded',
      children: [
        { id: expect.any(String), name: 'Reader', role: 'reads' },
        { id: expect.any(String), name: 'Writer', role: '' },
      ],
    },
  ]);
  const members: string[] = expanded.body.children.map(({ id }: { id: string }) => id);
  for (const id of members) {
    await client.reaches(id, 'online');
    expect((await client.get(`/workspaces/${id}`)).body).toMatchObject({ parent_id: parent, runtime: 'echo' });
    const { status, body } = await client.send(id, `hello ${id}`);
    expect([status, JSON.stringify(body)]).toEqual([200, expect.stringContaining(`hello ${id}`)]);
    expect(await leftOf(id)).toHaveLength(1);
  }
  await canvas.hears(parent, 'WORKSPACE_EXPANDED');

  const collapsed = await client.post(`/workspaces/${parent}/collapse`);
  expect([collapsed.status, collapsed.body]).toEqual([200, { status: 'collapsed', removed: ['Reader', 'Writer'] }]);
  for (const id of members) {
    expect(await client.status(id)).toBe('removed');
    expect(await leftOf(id)).toEqual([]);
  }
  await canvas.hears(parent, 'WORKSPACE_COLLAPSED');
  expect(await client.status(parent)).toBe('online');
  canvas.close();
});
