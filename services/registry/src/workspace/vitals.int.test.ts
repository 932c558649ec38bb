import { randomUUID } from 'node:crypto';
import { WorkspaceId } from '@molecule/contracts';
import { it } from '@molecule/testkit';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import { expect, onTestFinished } from 'vitest';
import type { Tables } from '../database.ts';
import { startRegistry } from '../fixtures.ts';
import { readVitals, saveVitals, type Vitals } from './vitals.ts';

it('what is stored of a beat gives way to no earlier one, as a leader of yesterday would write', async ({
  postgresUrl,
  natsUrl,
  log,
  bus: _,
}) => {
  const registry = await startRegistry({ postgresUrl, natsUrl, log });
  onTestFinished(() => registry.scope.close());
  const pool = new Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const id = WorkspaceId.parse(randomUUID());
  const beaten = (lastBeatAt: number, activeTasks: number): Vitals => ({
    lastBeatAt,
    activeTasks,
    errorRate: 0,
    sampleError: '',
    uptimeSeconds: 0,
    currentTask: '',
    monthlySpend: 0,
  });
  const stored = async () => (await readVitals(db, { after: null, limit: 10 }))[0]?.[1].activeTasks;
  await saveVitals(db, [{ id, vitals: beaten(2_000, 2) }]);
  await saveVitals(db, [{ id, vitals: beaten(1_000, 1) }]);
  expect(await stored()).toBe(2);
  await saveVitals(db, [{ id, vitals: beaten(2_000, 3) }]);
  expect(await stored()).toBe(3);
  await db.destroy();
});
