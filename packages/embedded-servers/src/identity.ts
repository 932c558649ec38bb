/** Telling our own leftover process from a stranger that got its number: a pid counts only together with when it was started. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ProcessIdentity {
  readonly pid: number;
  /** When the process began, as the operating system tells it; opaque. */
  readonly startedAt: string;
}

/** Who has this pid now, or nobody. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    if (process.platform === 'linux') {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // The name may hold spaces and brackets; what follows the last bracket is fields 3 and up. A zombie is nobody.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? undefined : { pid, startedAt: fields[19] as string };
    }
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]);
    return stdout.trim() === '' ? undefined : { pid, startedAt: stdout.trim() };
  } catch {
    return undefined;
  }
}

export async function remember(file: string, pid: number): Promise<void> {
  const identity = await identify(pid);
  if (identity !== undefined) await writeFile(file, JSON.stringify(identity));
}

const STOP_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** Stops what a killed parent of ours left behind, if the file still tells of it and it is still that process. */
export async function stopLeftover(file: string, signal: NodeJS.Signals): Promise<'none' | 'stopped'> {
  const known = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as ProcessIdentity,
    () => undefined,
  );
  const same = async () => known !== undefined && (await identify(known.pid))?.startedAt === known.startedAt;
  if (known === undefined || !(await same())) {
    await rm(file, { force: true });
    return 'none';
  }
  process.kill(known.pid, signal);
  for (let waited = 0; await same(); waited += LOOK_EVERY_MS) {
    if (waited === STOP_LIMIT_MS) process.kill(known.pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  await rm(file, { force: true });
  return 'stopped';
}
