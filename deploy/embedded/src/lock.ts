/**
 * One Molecule per data directory. The lock is a file that names a process; it counts for as long as that very process lives.
 *
 *   L1. The file appears whole: it is written under another name and linked.
 *   L2. The lock of a dead process is moved aside before a new one is made, and put back if it turns out to be alive after all.
 */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, markOf, type ProcessMark, readMark } from '@molecule/embedded-servers';

export class AlreadyRunning extends Error {
  constructor(dir: string, { pid }: ProcessMark) {
    super(
      `another Molecule (process ${pid}) is running in ${dir}. Stop it, or give this one its own MOLECULE_HOME and PORT. See \`molecule status\`.`,
    );
  }

  override get name(): string {
    return 'AlreadyRunning';
  }
}

/** Takes the lock, or takes it over from a dead process. Returns how to give it back. @throws AlreadyRunning */
export function takeLock({ dir, lockFile }: { readonly dir: string; readonly lockFile: string }): () => void {
  const own = `${lockFile}.${process.pid}`;
  writeFileSync(own, JSON.stringify(markOf(process.pid)), { mode: 0o600 });
  try {
    while (!linked(own, lockFile)) {
      const holder = readMark(lockFile);
      if (holder && isAlive(holder)) throw new AlreadyRunning(dir, holder);
      setAside(lockFile, dir);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return () => {
    if (readMark(lockFile)?.pid === process.pid) rmSync(lockFile, { force: true });
  };
}

/** L1. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** L2: of two that find a dead lock, the slower one may move the quicker one's new lock. */
function setAside(lockFile: string, dir: string): void {
  const aside = `${lockFile}.stale.${process.pid}`;
  try {
    renameSync(lockFile, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const holder = readMark(aside);
    if (!holder || !isAlive(holder)) return;
    linked(aside, lockFile);
    throw new AlreadyRunning(dir, holder);
  } finally {
    rmSync(aside, { force: true });
  }
}
