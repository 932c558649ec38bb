/** Small programs that stand beside the system in the same run: started, asked for their port, measured for CPU, stopped. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly url: string;
  readonly pid: number;
  /** Says something to it, if it listens. */
  tell(message: object): void;
  stop(): Promise<void>;
}

/** Starts `ceilings/<name>.ts`; it tells its port as its first message. */
export async function startProgram(name: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
  const file = fileURLToPath(new URL(`../ceilings/${name}.ts`, import.meta.url));
  const child: ChildProcess = fork(file, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [port] = (await Promise.race([once(child, 'message'), failed(child, name)])) as [number];
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid as number,
    tell: (message) => void child.send(message),
    stop: async () => {
      const gone = once(child, 'exit');
      child.kill();
      await gone;
    },
  };
}

/** Runs a program that measures by itself; what it finds out is its first message. */
export async function runProgram<Found>(file: string, env: Readonly<Record<string, string>>): Promise<Found> {
  const child = fork(file, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [found] = await Promise.race([once(child, 'message'), failed(child, file)]);
  return found as Found;
}

/** Rejects when it ends before it told its port. */
async function failed(child: ChildProcess, name: string): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null];
  throw new Error(`the program ${name} ended at its start (${code})`);
}

const TICK_US = 1e6 / 100; // USER_HZ is 100 on every Linux

/** CPU time that a process has used so far, user and system, in microseconds (Linux; NaN elsewhere). */
export function cpuMicros(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return Number.NaN;
  }
}

/** Memory that belongs to a process, shared pages shared out, in MB (Linux; NaN elsewhere). */
export function pssMegabytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
}

/** A process and all that it has started, such as a database's backends. */
function withChildren(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    return [pid, ...children.flatMap(withChildren)];
  } catch {
    return [pid];
  }
}

/** CPU that these processes, and those they started, use per request while `run` puts load on them, in microseconds. */
export async function cpuPerRequest(
  pids: readonly number[],
  run: () => Promise<{ readonly perSecond: number }>,
): Promise<number> {
  // Who has ended meanwhile counts for nothing.
  const used = () => pids.flatMap(withChildren).reduce((sum, pid) => sum + (cpuMicros(pid) || 0), 0);
  const [before, started] = [used(), performance.now()];
  const { perSecond } = await run();
  // The load includes its warm-up: the rate stands for the whole of it.
  return (used() - before) / (perSecond * ((performance.now() - started) / 1000));
}
