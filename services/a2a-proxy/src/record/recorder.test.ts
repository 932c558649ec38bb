/** How much the record takes while the database is away. */
import { createLog, systemClock } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import type { ActivityRow } from '../activity/row.ts';
import { Recorder, type RecorderOptions } from './recorder.ts';

const row = (said: Partial<ActivityRow>): ActivityRow => ({
  id: 'a',
  workspace_id: 'w',
  activity_type: 'agent_log',
  source_kind: 'self',
  source_id: 'w',
  target_id: null,
  method: null,
  summary: null,
  request_body: null,
  response_body: null,
  tool_trace: null,
  duration_ms: null,
  status: 'ok',
  error_detail: null,
  created_us: 0,
  body_bytes: 0,
  ...said,
});

/** Takes rows until it is full, and says how many that were. */
async function taken(bounds: Pick<RecorderOptions, 'maxBytes' | 'maxEntries'>, one: ActivityRow): Promise<number> {
  const away = () => Promise.reject(new Error('away'));
  const recorder = new Recorder({
    ledger: { pool: { query: away } } as unknown as RecorderOptions['ledger'],
    log: createLog({ service: 'a2a-proxy', level: 'silent' }),
    clock: systemClock,
    worker: 'here',
    say: () => {},
    isUnavailable: () => true,
    ...bounds,
  });
  let count = 0;
  for (; !recorder.isFull && count < 10_000; count++) recorder.row(one);
  await recorder.close(0);
  return count;
}

describe('R5: rows that wait', () => {
  it.for(['method', 'summary', 'status', 'error_detail'] as const)('count with their %s', async (member) => {
    expect(await taken({ maxBytes: 10_000 }, row({ [member]: 'x'.repeat(1_000) }))).toBe(10);
  });

  it('count with their bodies', async () => {
    expect(await taken({ maxBytes: 10_000 }, row({ body_bytes: 998 }))).toBe(10);
  });

  it('count even if they say nothing', async () => {
    const [once, twice] = [await taken({ maxEntries: 100 }, row({})), await taken({ maxEntries: 200 }, row({}))];
    expect(twice - once).toBe(100);
  });
});
