/** Whom PostgreSQL runs as, and whether that user gets to where it must. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { accountFor, closedTo, commandAs } from './unprivileged.ts';

const stranger = { uid: 54_321, gid: 54_321 };
const top = mkdtempSync(join(tmpdir(), 'molecule-closed-'));
chmodSync(top, 0o755);
const closed = join(top, 'closed');
mkdirSync(closed, { mode: 0o700 });
writeFileSync(join(closed, 'file'), '');
afterAll(() => rmSync(top, { recursive: true }));

describe('the way to a file', () => {
  it('is open where every directory above it may be entered', () =>
    expect(closedTo(stranger, join(top, 'file'))).toBeUndefined());
  it('names the directory that is closed', () => expect(closedTo(stranger, join(closed, 'below', 'file'))).toBe(closed));
  it('is open to the owner', () => {
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    expect(closedTo(owner, join(closed, 'file'))).toBeUndefined();
  });
});

describe('running a program', () => {
  it('needs nothing when we are not root', () =>
    expect(commandAs(undefined, '/bin/true', ['a'], [closed])).toEqual({ command: '/bin/true', args: ['a'], options: {} }));
  it('changes the user when we are', () =>
    expect(commandAs(stranger, '/bin/true', [], [join(top, 'x')])).toEqual({
      command: '/bin/true',
      args: [],
      options: stranger,
    }));
  it.runIf(process.platform === 'linux')('keeps the right to walk through closed directories, and no other', () => {
    const { command, args } = commandAs(stranger, '/bin/true', ['a'], [join(closed, 'file')]);
    expect(command).toMatch(/setpriv$/);
    expect(args.join(' ')).toMatch(
      /--securebits \+no_setuid_fixup .*--ambient-caps \+dac_(read_search|override) -- \/bin\/true a$/,
    );
  });
});

describe('the account', () => {
  it('is root never', () => {
    const account = accountFor(join(top, 'not-there'));
    if (process.getuid?.() === 0) expect(account?.uid).toBeGreaterThan(0);
    else expect(account).toBeUndefined();
  });
});
