/** Finds nats-server, or gets it: from the system's own packages, else the official release, checked against its checksum. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The checksums are those that the project publishes for its Docker images. */
const RELEASE = { version: '2.10.29', from: 'https://github.com/nats-io/nats-server/releases/download' };
/** @type {Readonly<Record<string, { arch: string, sha256: string }>>} */
const BUILDS = {
  x64: { arch: 'amd64', sha256: 'e314da74a83a1d3876db8814c27eb990fe729640fd6452025b441bcede8390da' },
  arm64: { arch: 'arm64', sha256: 'da4b27942ecfb4c5f0c54553d2e7f470ddda9d7581cfe8131b351a0e223ed401' },
};
const DOWNLOAD_WITHIN_MS = 120_000;

/** Debian keeps servers where a user's `PATH` does not look. */
const USUAL_PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

const HOW = [
  'nats-server is needed and could not be had. Any of these gets it:',
  '  Debian, Ubuntu:  sudo apt-get install nats-server',
  '  macOS:           brew install nats-server',
  `  by hand:         ${RELEASE.from}/v${RELEASE.version} → put nats-server into .molecule/bin/`,
  'or set NATS_URL to a server of your own (with JetStream).',
].join('\n');

/**
 * @param {{ root: string, path: string, say: (text: string) => void }} where
 * @returns {Promise<{ dir: string } | { missing: string }>} the directory it is in, or what to tell the user
 */
export async function ensureNats({ root, path, say }) {
  const ours = join(root, '.molecule', 'bin');
  const find = () => findIn([...path.split(delimiter), ours, ...USUAL_PLACES]);
  let dir = find();
  if (dir !== undefined) return { dir };

  const reasons = [];
  for (const way of waysFor(thisMachine(path))) {
    say(`Getting nats-server: ${way.title} …`);
    const failure = way.command === undefined ? await download(ours, BUILDS[process.arch]) : run(way.command);
    if (failure !== undefined) reasons.push(`  ${way.title}: ${failure}`);
    dir = find();
    if (dir !== undefined) return { dir };
  }
  return { missing: [HOW, ...(reasons.length > 0 ? ['What was tried:', ...reasons] : [])].join('\n') };
}

/**
 * Which ways there are on such a machine, the most fitting first. No command: the download.
 *
 * @param {{ platform: string, arch: string, apt: boolean, brew: boolean, root: boolean, sudo: boolean }} machine
 */
export function waysFor({ platform, arch, apt, brew, root, sudo }) {
  const ways = [];
  const asRoot = root ? [] : ['sudo', '-n'];
  if (platform === 'linux' && apt && (root || sudo)) {
    const install = [...asRoot, 'apt-get', 'install', '-y', '--no-install-recommends', 'nats-server'];
    ways.push({ title: 'apt-get install', command: install });
    ways.push({
      title: 'apt-get update, then install',
      command: [...asRoot, 'sh', '-c', 'apt-get update && apt-get install -y --no-install-recommends nats-server'],
    });
  }
  if (platform === 'darwin' && brew) ways.push({ title: 'brew install', command: ['brew', 'install', 'nats-server'] });
  if (platform === 'linux' && arch in BUILDS) ways.push({ title: `the official release ${RELEASE.version}`, command: undefined });
  return ways;
}

/** @param {string} path */
function thisMachine(path) {
  const has = (/** @type {string} */ program) =>
    path.split(delimiter).some((place) => place !== '' && existsSync(join(place, program)));
  return {
    platform: process.platform,
    arch: process.arch,
    apt: has('apt-get'),
    brew: has('brew'),
    root: process.getuid?.() === 0,
    sudo: has('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0,
  };
}

/** @param {readonly string[]} places */
function findIn(places) {
  return places.find((place) => {
    if (place === '') return false;
    try {
      accessSync(join(place, 'nats-server'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {readonly string[]} command @returns {string | undefined} why it failed */
function run([program = '', ...args]) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', process.stderr, process.stderr], env });
  return error ? error.message : status === 0 ? undefined : `ended with code ${status}`;
}

/**
 * @param {string} into the directory that `nats-server` is put into
 * @param {{ arch: string, sha256: string } | undefined} build
 * @param {string} from
 * @returns {Promise<string | undefined>} why it failed
 */
export async function download(into, build, from = RELEASE.from) {
  if (build === undefined) return 'there is none for this machine';
  const name = `nats-server-v${RELEASE.version}-linux-${build.arch}`;
  try {
    const response = await fetch(`${from}/v${RELEASE.version}/${name}.tar.gz`, {
      signal: AbortSignal.timeout(DOWNLOAD_WITHIN_MS),
    });
    if (!response.ok) return `the server answered ${response.status}`;
    const archive = Buffer.from(await response.arrayBuffer());
    const sum = createHash('sha256').update(archive).digest('hex');
    if (sum !== build.sha256)
      return `the checksum of what was downloaded is ${sum}, which is not the one we know; it was thrown away`;
    return unpack(archive, name, into);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.cause instanceof Error ? error.cause.message : error.message;
  }
}

/** @param {Buffer} archive @param {string} name @param {string} into @returns {string | undefined} why it failed */
function unpack(archive, name, into) {
  mkdirSync(into, { recursive: true });
  const unpacking = mkdtempSync(join(into, '.unpacking-'));
  try {
    const file = join(unpacking, 'archive.tar.gz');
    writeFileSync(file, archive);
    const { status, error } = spawnSync('tar', ['-xzf', file, '-C', unpacking, `${name}/nats-server`], { stdio: 'ignore' });
    if (error || status !== 0) return `it could not be unpacked: ${error?.message ?? `tar ended with code ${status}`}`;
    chmodSync(join(unpacking, name, 'nats-server'), 0o755);
    renameSync(join(unpacking, name, 'nats-server'), join(into, 'nats-server'));
    return undefined;
  } finally {
    rmSync(unpacking, { recursive: true, force: true });
  }
}
