/**
 * Which processes are ours, proven.
 *
 *   P1. A process is known by its pid and when it started: a number that was given out again is somebody else.
 *   P2. Every agent carries its workspace in its command line, so that it is found even when no record of it was written.
 *   P3. A process that has ended but was not waited for by its parent (a zombie) does not run.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PS_LIMIT_MS = 5_000;
const ON_LINUX = process.platform === 'linux';

export interface Process {
  /** When it started, in a form that only compares. */
  readonly startTime: string;
  readonly running: boolean;
}

/** `undefined`: no process has this number. */
export const processOf = (pid: number): Promise<Process | undefined> => (ON_LINUX ? fromProc(pid) : fromPs(pid));

/** When a running process started; `undefined` when it does not run. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const found = await processOf(pid);
  return found?.running ? found.startTime : undefined;
}

/** Whether the group that this process led can only be its own, also when the process itself is gone. */
export async function groupIsStillTheirs(pid: number, startTime: string): Promise<boolean> {
  // The kernel gives no number to a new process while a group has it; only a reboot forgets that.
  if (ON_LINUX && !startTime.startsWith(`${(await bootId()) ?? ''}/`)) return false;
  const found = await processOf(pid);
  return found === undefined || found.startTime === startTime;
}

/** The pids of running processes with this very argument in their command line. */
export async function findByArgument(argument: string): Promise<number[]> {
  const found = ON_LINUX ? await fromCommandLines(argument) : await fromPsArguments(argument);
  const alive = await Promise.all(found.map(async (pid) => ((await startTimeOf(pid)) === undefined ? [] : [pid])));
  return alive.flat().filter((pid) => pid !== process.pid);
}

async function fromProc(pid: number): Promise<Process | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name may hold anything, also blanks and parentheses; what follows the last one is plain.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  return { startTime: `${(await bootId()) ?? ''}/${ticks}`, running: state !== 'Z' && state !== 'X' }; // P3
}

let boot: Promise<string | undefined> | undefined;
/** Ticks count from the boot: after another one they mean nothing. */
const bootId = (): Promise<string | undefined> => {
  boot ??= readIfThere('/proc/sys/kernel/random/boot_id').then((text) => text?.trim());
  return boot;
};

async function fromPs(pid: number): Promise<Process | undefined> {
  const lines = await ps(['-o', 'stat=,lstart=', '-p', `${pid}`]);
  const [state = '', ...started] = (lines[0] ?? '').trim().split(/\s+/);
  return state === '' ? undefined : { startTime: started.join(' '), running: !state.startsWith('Z') };
}

async function fromCommandLines(argument: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const commandLine = await readIfThere(`/proc/${pid}/cmdline`);
      return commandLine?.split('\0').some((one) => matches(one, argument)) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

async function fromPsArguments(argument: string): Promise<number[]> {
  return (await ps(['-axo', 'pid=,args='])).flatMap((line) => {
    const [pid = '', ...words] = line.trim().split(/\s+/);
    return words.some((word) => matches(word, argument)) ? [Number(pid)] : [];
  });
}

/** An argument that ends in `/` stands for all that begin with it. */
const matches = (one: string, wanted: string): boolean => (wanted.endsWith('/') ? one.startsWith(wanted) : one === wanted);

async function ps(args: readonly string[]): Promise<string[]> {
  const { stdout } = await run('ps', [...args], { timeout: PS_LIMIT_MS, maxBuffer: 16 * 1024 * 1024 }).catch(
    (error: { code?: unknown; stdout?: string }) => {
      // `ps -p` of nobody ends with 1 and says nothing.
      if (error.code === 1 && error.stdout === '') return { stdout: '' };
      throw error;
    },
  );
  return stdout.split('\n').filter((line) => line.trim() !== '');
}

/** A process may end while it is read about: then there is nothing to read, in one of several ways. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
