/**
 * Who a process is, beyond its number. Numbers are given out again; number and start time together are not, so a mark
 * kept in a file tells our own leftover from a stranger that happens to have its number now.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface ProcessMark {
  readonly pid: number;
  /** When it started, as its system tells it: compared, never computed with. */
  readonly startedAt: string;
}

/** The mark of a living process; `undefined` when there is none (a zombie is none). */
export function markOf(pid: number): ProcessMark | undefined {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Whether that very process still lives. */
export const isAlive = (mark: ProcessMark): boolean => markOf(mark.pid)?.startedAt === mark.startedAt;

/** Reads a mark out of a file; `undefined` when there is no file or no mark in it. */
export function readMark(file: string): ProcessMark | undefined {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProcessMark>;
    return Number.isInteger(pid) && typeof startedAt === 'string' ? { pid: pid as number, startedAt } : undefined;
  } catch {
    return undefined;
  }
}

/** Ends that very process: `signal` first, and SIGKILL when it has not gone after `graceMs`. Resolves when it is gone. */
export async function endProcess(mark: ProcessMark, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  send(mark, signal);
  if (await gone(mark, graceMs)) return;
  send(mark, 'SIGKILL');
  if (!(await gone(mark, 5_000))) throw new Error(`process ${mark.pid} does not end, not even by SIGKILL`);
}

function send(mark: ProcessMark, signal: NodeJS.Signals): void {
  if (!isAlive(mark)) return;
  try {
    process.kill(mark.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(mark: ProcessMark, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(mark)) {
    if (performance.now() > deadline) return false;
    await delay(10);
  }
  return true;
}

/** Field 22 of `/proc/<pid>/stat` counts ticks since boot, so the boot's id belongs to it. */
function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${rest[18]}`;
  } catch {
    return undefined;
  }
}

function startByPs(pid: number): string | undefined {
  try {
    const [state, ...start] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', `${pid}`], {
      encoding: 'utf8',
      env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state.startsWith('Z') ? undefined : start.join(' ');
  } catch {
    return undefined;
  }
}
