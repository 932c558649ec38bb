/** Puts load on a server from a process of its own, and says what came of it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadJob, LoadResult } from './load-worker.ts';

export type { LoadResult } from './load-worker.ts';

const WORKER = fileURLToPath(new URL('./load-worker.ts', import.meta.url));

export type Load = Pick<LoadJob, 'url' | 'bodies' | 'paths' | 'connections'> &
  Partial<Pick<LoadJob, 'headers' | 'ids' | 'method' | 'warmupMs' | 'durationMs' | 'rate' | 'mostConnections' | 'once'>> & {
    /** Beside 2xx. */
    readonly allowed?: readonly number[];
  };

/** Answers that are neither 2xx nor allowed make the figure worthless, and are an error. */
export async function load({ allowed = [], ...job }: Load): Promise<LoadResult> {
  const worker = fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const full: LoadJob = {
    method: 'POST',
    warmupMs: 1000,
    durationMs: 3000,
    headers: { 'content-type': 'application/json' },
    ...job,
  };
  worker.send(full);
  const [result] = (await once(worker, 'message')) as [LoadResult];
  worker.kill();
  const bad = Object.entries(result.statuses).filter(([status]) => !status.startsWith('2') && !allowed.includes(Number(status)));
  if (bad.length > 0) throw new Error(`not every answer of ${job.url} was good: ${JSON.stringify(result.statuses)}`);
  return result;
}
