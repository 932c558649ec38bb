/**
 * PostgreSQL refuses to run as root. When we are root, it runs as the owner its data already has, else as `postgres` or
 * `nobody`.
 *
 * Such a user may be unable to reach what lies below a closed directory (`/root` is one). Where util-linux's `setpriv` is
 * there, the server keeps the single right to walk through and read such directories; where it is not, we say what to do.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'];
const OTHERS_MAY_ENTER = 0o001;
const GROUP_MAY_ENTER = 0o010;
const OWNER_MAY_ENTER = 0o100;

/** Whom PostgreSQL runs as; `undefined` means: as ourselves. `dataDir` need not exist. */
export function accountFor(dataDir: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = existsSync(dataDir) ? statSync(dataDir) : undefined;
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const passwd = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '';
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = passwd.match(new RegExp(`^${name}:([^:]*):(\\d+):(\\d+):`, 'm')) ?? [];
    if (uid !== undefined && gid !== undefined && uid !== '0') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and this machine has neither a user "postgres" nor "nobody". Run Molecule as another user, or set DATABASE_URL.',
  );
}

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly options: { readonly uid?: number; readonly gid?: number };
}

/** How to run a program as that account, such that it reaches all of `paths`. @throws Error that says what to do. */
export function commandAs(
  account: Account | undefined,
  command: string,
  args: readonly string[],
  paths: readonly string[],
): Command {
  if (!account) return { command, args, options: {} };
  const closed = [command, ...paths].map((path) => closedTo(account, path)).find((path) => path !== undefined);
  if (closed === undefined) return { command, args, options: { uid: account.uid, gid: account.gid } };

  const setpriv = SETPRIV.find((path) => existsSync(path));
  if (setpriv === undefined || process.platform !== 'linux') {
    throw new Error(
      `PostgreSQL refuses to run as root, and its user (uid ${account.uid}) may not enter ${closed}. Run Molecule as another user, move it out of that directory, or open the way: chmod o+x ${closed}`,
    );
  }
  const right = mayKeep(CAP_DAC_READ_SEARCH) ? 'dac_read_search' : 'dac_override';
  // Without the fix-up bit, access(2), with which PostgreSQL looks for its own programs, does not count that right.
  const rights = ['--securebits', '+no_setuid_fixup', '--inh-caps', `+${right}`, '--ambient-caps', `+${right}`];
  return {
    command: setpriv,
    args: ['--reuid', `${account.uid}`, '--regid', `${account.gid}`, '--clear-groups', ...rights, '--', command, ...args],
    options: {},
  };
}

/** The first directory above `path` that the account may not enter. */
export function closedTo(account: Account, path: string): string | undefined {
  const above: string[] = [];
  for (let dir = dirname(resolve(path)); ; dir = dirname(dir)) {
    above.unshift(dir);
    if (dir === dirname(dir)) break;
  }
  return above.find((dir) => {
    if (!existsSync(dir)) return false;
    const { mode, uid, gid } = statSync(dir);
    const needed = uid === account.uid ? OWNER_MAY_ENTER : gid === account.gid ? GROUP_MAY_ENTER : OTHERS_MAY_ENTER;
    return (mode & needed) === 0;
  });
}

const CAP_DAC_READ_SEARCH = 2n;

/** Containers are often started without some of root's rights. */
function mayKeep(capability: bigint): boolean {
  const [, bounding] = readFileSync('/proc/self/status', 'utf8').match(/^CapBnd:\s*([0-9a-f]+)/m) ?? [];
  return bounding !== undefined && (BigInt(`0x${bounding}`) & (1n << capability)) !== 0n;
}
