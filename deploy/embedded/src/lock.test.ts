/** One Molecule per data directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markOf, readMark } from '@molecule/embedded-servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptInternalKey, openHome } from './home.ts';
import { AlreadyRunning, takeLock } from './lock.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'molecule-home-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const other = async () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
  const mark = markOf(child.pid ?? -1);
  return {
    mark,
    end: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
};

describe('the lock of a data directory', () => {
  it('is held, and given back', () => {
    const home = openHome(dir);
    const unlock = takeLock(home);
    expect(readMark(home.lockFile)).toEqual(markOf(process.pid));
    expect(() => takeLock(home)).toThrow(AlreadyRunning);
    unlock();
    expect(existsSync(home.lockFile)).toBe(false);
    takeLock(home)();
  });

  it('names who holds it', async () => {
    const home = openHome(dir);
    const holder = await other();
    writeFileSync(home.lockFile, JSON.stringify(holder.mark));
    expect(() => takeLock(home)).toThrow(`another Molecule (process ${holder.mark?.pid}) is running in ${dir}`);
    expect(readMark(home.lockFile)).toEqual(holder.mark);
    await holder.end();
  });

  it('L2: is taken over from the dead, and leaves nothing beside it', async () => {
    const home = openHome(dir);
    const holder = await other();
    writeFileSync(home.lockFile, JSON.stringify(holder.mark));
    await holder.end();
    takeLock(home);
    expect(readMark(home.lockFile)).toEqual(markOf(process.pid));
    expect(readdirSync(dir).filter((name) => name.startsWith('lock'))).toEqual(['lock']);
  });

  it('does not count when it names a stranger with the same number, or nobody', () => {
    const home = openHome(dir);
    for (const text of [JSON.stringify({ pid: process.pid, startedAt: 'another time' }), '', '{"pid":"x"}']) {
      writeFileSync(home.lockFile, text);
      takeLock(home)();
    }
  });
});

describe('what is kept in it', () => {
  it('is a key that stays the same and is for our eyes only', () => {
    const home = openHome(dir);
    const key = keptInternalKey(home);
    expect(key.length).toBeGreaterThanOrEqual(43);
    expect(keptInternalKey(home)).toBe(key);
    expect(statSync(join(dir, 'internal-key')).mode & 0o777).toBe(0o600);
  });

  it('cannot be made where nothing can be', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => openHome(join(dir, 'file', 'home'))).toThrow('Set MOLECULE_HOME to another one');
  });
});
