/** Where Molecule is: the address to ask, from the command line, the environment, or what a running Molecule wrote down. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Terminal } from './terminal.ts';

/** The directory of the checkout. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** `<MOLECULE_HOME>/run.json`: what `molecule up` writes once it is ready, and removes when it stops. Further keys are its own. */
export const RunFile = z.looseObject({
  url: z.url(),
  pid: z.number().int(),
});
export type RunFile = z.infer<typeof RunFile>;

/** The data directory: `MOLECULE_HOME`, by default `.molecule` in the checkout. */
export const homeOf = (env: Terminal['env']): string =>
  env['MOLECULE_HOME'] ? resolve(env['MOLECULE_HOME']) : join(ROOT, '.molecule');

/** What the Molecule of this data directory wrote, if it is still running. */
export async function runningHere(env: Terminal['env']): Promise<RunFile | undefined> {
  const text = await readFile(join(homeOf(env), 'run.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = RunFile.safeParse(safeJson(text));
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined;
}

export interface Target {
  /** Without a slash at its end. */
  readonly url: string;
  readonly adminToken: string | undefined;
  /** Who said so, for error messages. */
  readonly from: string;
}

/** `--url`, then `MOLECULE_URL`, then the running Molecule of the data directory, then the port it would have. */
export async function findTarget(env: Terminal['env'], given: string | undefined): Promise<Target> {
  const adminToken = env['ADMIN_TOKEN'] || undefined;
  const target = (url: string, from: string): Target => ({ url: url.replace(/\/+$/, ''), adminToken, from });
  if (given) return target(given, '--url');
  if (env['MOLECULE_URL']) return target(env['MOLECULE_URL'], 'MOLECULE_URL');
  const running = await runningHere(env);
  if (running) return target(running.url, join(homeOf(env), 'run.json'));
  return target(`http://127.0.0.1:${env['PORT'] && env['PORT'] !== '0' ? env['PORT'] : '8080'}`, 'the default');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
