/**
 * Makes sure of what a command needs: the packages of the lockfile, Node 24, nats-server. Says what it does while it does
 * it, and what it could not get together with how to get it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureNats } from './nats.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The message is for whoever sits at the terminal: what is missing, and how to get it. */
export class CannotPrepare extends Error {}

const STAMP = join(ROOT, 'node_modules', '.molecule-prepared');
const NODE = join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? 'node.exe' : 'node');

/**
 * @param {import('./commands.mjs').Needs} needs
 * @returns {Promise<{ readonly node: string, readonly path: string }>} the Node to run with, and the `PATH`
 */
export async function prepare(needs) {
  const wanted = stampOf((file) => readFileSync(join(ROOT, file), 'utf8'));
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== wanted || !existsSync(NODE)) install(wanted);

  const places = [join(ROOT, 'node_modules', '.bin'), join(ROOT, '.molecule', 'bin')];
  if (needs.nats !== undefined && !process.env[needs.nats]) {
    const found = await ensureNats({ root: ROOT, path: process.env['PATH'] ?? '', say });
    if ('missing' in found) throw new CannotPrepare(found.missing);
    places.push(found.dir);
  }
  return { node: NODE, path: pathWith(places, process.env['PATH'] ?? '') };
}

/**
 * What an installation depends on, as one text: the same text, the same installation.
 *
 * @param {(file: string) => string} read
 */
export function stampOf(read, { platform = process.platform, arch = process.arch } = {}) {
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(read(file)).update('\0');
  return `${hash.digest('hex')} ${JSON.parse(read('package.json')).packageManager} ${platform}-${arch}\n`;
}

/**
 * Ours come last among the places where others may have put something: only the project's own tools are to win.
 *
 * @param {readonly string[]} places the first one goes to the front, the others to the end
 * @param {string} path
 */
export const pathWith = ([first = '', ...others], path) =>
  [
    first,
    ...path.split(delimiter).filter((place) => place !== '' && place !== first && !others.includes(place)),
    ...new Set(others),
  ].join(delimiter);

/** @param {string} stamp */
function install(stamp) {
  const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  say(`Installing the packages of the lockfile with ${packageManager} (only when it has changed) …`);
  const { status, error } = spawnSync(
    'npx',
    [
      '--yes',
      packageManager,
      'install',
      '--frozen-lockfile',
      '--prefer-offline',
      '--pm-on-fail=ignore',
      '--config.confirmModulesPurge=false',
    ],
    // It is this very version that runs, so pnpm need not look after its own. Not to stdout: what a command writes there may be read by a program.
    { cwd: ROOT, stdio: ['ignore', process.stderr, process.stderr], shell: process.platform === 'win32' },
  );
  if (error || status !== 0) {
    throw new CannotPrepare(
      [
        `\nThe packages could not be installed (${error?.message ?? `${packageManager} ended with code ${status}`}).`,
        'It needs npm, and the first time a connection to the npm registry (npm config get registry). Then run the same command again.',
      ].join('\n'),
    );
  }
  if (!existsSync(NODE)) {
    throw new CannotPrepare(
      'The packages were installed, but Node 24 is not among them (the npm package "node"). Run: rm -rf node_modules, and the same command again.',
    );
  }
  writeFileSync(STAMP, stamp);
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}
