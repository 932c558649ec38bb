/** Molecule as it is measured: one process per service, and workspaces to measure with. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Cluster } from '../../test-e2e/harness/cluster.ts';

export { Cluster } from '../../test-e2e/harness/cluster.ts';

/** A workspace whose agent listens there. */
export async function workspaceAt(cluster: Pick<Cluster, 'url'>, url: string): Promise<string> {
  const answer = await fetch(`${cluster.url()}/workspaces`, {
    method: 'POST',
    body: JSON.stringify({ name: 'measured', external: true, url }),
  });
  const { id } = (await answer.json()) as { id?: string };
  if (id === undefined) throw new Error(`no workspace was made: ${answer.status}`);
  return id;
}

/**
 * So many workspaces at once: their first facts are written into the log as the registry would have, and its tables are rebuilt from
 * them, which is what the log is for.
 */
export async function seedWorkspaces(
  databaseUrl: string,
  gatewayUrl: string,
  count: number,
  { parentId = null, urlOf }: { readonly parentId?: string | null; readonly urlOf?: (id: string, index: number) => string } = {},
): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  const data = {
    name: 'measured',
    role: null,
    tier: 2,
    runtime: 'external',
    external: true,
    parentId,
    url: 'http://127.0.0.1:9',
    status: 'online',
    by: 'create',
    template: '',
    model: '',
    workspaceDir: null,
    workspaceAccess: 'none',
    awarenessNamespace: '',
    maxConcurrentTasks: 1,
    budgetLimit: null,
    canvas: { x: 0, y: 0 },
  };
  await appendRaw(
    databaseUrl,
    'registry',
    ids.map((id, index) => ({
      stream: `workspace.${id}`,
      version: 1,
      type: 'workspace.created',
      data: urlOf ? { ...data, url: urlOf(id, index) } : data,
      workspaceId: id,
    })),
  );
  const answer = await fetch(`${gatewayUrl}/admin/rebuild?service=registry`, { method: 'POST' });
  if (!answer.ok) throw new Error(`the tables could not be rebuilt: ${answer.status} ${await answer.text()}`);
  return ids;
}

export interface RawFact {
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly data: object;
  readonly workspaceId: string;
}

/** Writes facts straight into a service's log. */
export async function appendRaw(databaseUrl: string, schema: 'registry' | 'a2a_proxy', facts: readonly RawFact[]): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  for (let from = 0; from < facts.length; from += 5_000) {
    const rows = facts.slice(from, from + 5_000).map((fact) => ({ ...fact, id: randomUUID(), command: randomUUID() }));
    await client.query(
      `insert into ${schema}.events (id, stream, version, type, schema, nth, data, meta, recorded_at)
       select id, stream, version, type, 1, 1, data, jsonb_build_object('workspaceId', "workspaceId", 'commandId', command), now()
       from jsonb_to_recordset($1::jsonb) as fact(id uuid, stream text, version int, type text, data jsonb, "workspaceId" text, command text)`,
      [JSON.stringify(rows)],
    );
  }
  await client.end();
}
