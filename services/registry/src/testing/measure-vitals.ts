/** A program of the benchmarks: how long a batch of vitals takes to store, by the rows that there are already. Tells milliseconds. */
import { randomUUID } from 'node:crypto';
import { WorkspaceId } from '@molecule/contracts';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Pool } from 'pg';
import type { Tables } from '../database.ts';
import { saveVitals, type Vitals } from '../workspace/vitals.ts';

const BATCH = 1_000;
const TIMES = 30;
const sizes = JSON.parse(process.env['SIZES'] ?? '[]') as number[];

/** In a table of its own, with the shape and the indexes of the real one. */
async function measure(size: number): Promise<number> {
  const pool = new Pool({ connectionString: process.env['DATABASE_URL'], max: 1, options: '-c search_path=bench_vitals' });
  await pool.query('drop schema if exists bench_vitals cascade; create schema bench_vitals');
  await pool.query('create table workspace_vitals (like registry.workspace_vitals including all)');
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const ids = Array.from({ length: size }, () => WorkspaceId.parse(randomUUID()));
  let now = Date.now();
  const beaten = (id: WorkspaceId) => ({ id, vitals: { ...BEAT, lastBeatAt: now } });
  await saveVitals(db, ids.map(beaten));
  await sql`vacuum analyze workspace_vitals`.execute(db);
  const took: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    now += 30_000;
    // Spread over the table, as beats are.
    const batch = Array.from({ length: BATCH }, (_, index) => ids[(time * BATCH + index * 97) % size] as WorkspaceId);
    const rows = [...new Set(batch)].map(beaten);
    const started = performance.now();
    await saveVitals(db, rows);
    took.push(((performance.now() - started) / rows.length) * BATCH);
  }
  await pool.query('drop schema bench_vitals cascade');
  await db.destroy();
  return took.sort((a, b) => a - b)[TIMES / 2] as number;
}

const BEAT: Vitals = {
  lastBeatAt: 0,
  activeTasks: 1,
  errorRate: 0,
  sampleError: '',
  uptimeSeconds: 60,
  currentTask: 'measuring',
  monthlySpend: 0,
};

const answers: number[] = [];
for (const size of sizes) answers.push(await measure(size));
process.send?.(answers, () => process.exit(0));
