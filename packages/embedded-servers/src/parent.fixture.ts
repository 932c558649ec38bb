/** A process that has embedded servers and tells their numbers, for tests that kill it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createLog } from '@molecule/service';
import { startNats } from './nats.ts';
import { startPostgres } from './postgres.ts';

const dir = process.argv[2] ?? '';
const log = createLog({ service: 'test', level: 'silent' });
const [nats, postgres] = await Promise.all([
  startNats({ dir: join(dir, 'nats'), log, searchPath: process.env['PATH'] ?? '' }),
  startPostgres({ dir: join(dir, 'postgres'), log, durable: false }),
]);
// The watchers are our only children that are shells; a test kills them to see what happens without them.
if (process.env['WITHOUT_WATCHERS']) {
  const children = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', `${process.pid}`], { encoding: 'utf8' });
  for (const [, pid] of children.matchAll(/^\s*(\d+)\s+(?:\/bin\/)?(?:da)?sh$/gm)) process.kill(Number(pid), 'SIGKILL');
}
process.stdout.write(`${JSON.stringify({ nats: nats.pid, postgres: postgres.pid })}\n`);
