/**
 * The data directory, `MOLECULE_HOME`:
 *
 *   lock, run.json    who runs in it, and where to reach it
 *   internal-key      what the services sign to each other with
 *   installation      the name of this installation (the provisioner's)
 *   postgres/, nats/  the embedded servers
 *   workspaces/       agents that are processes
 *   logs/             molecule.log, and that of the run before
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Home {
  readonly dir: string;
  readonly logFile: string;
  readonly runFile: string;
  readonly lockFile: string;
  readonly postgres: string;
  readonly nats: string;
  /** Where the bootstrap script puts a nats-server that it downloads. */
  readonly bin: string;
}

const RUNS_AS_ROOT = process.getuid?.() === 0;

/** Makes what is not there yet. @throws Error that says what to do */
export function openHome(dir: string): Home {
  try {
    // When we are root, PostgreSQL runs as somebody else, who has to get through; what is secret is closed by itself.
    mkdirSync(dir, { recursive: true, mode: RUNS_AS_ROOT ? 0o711 : 0o700 });
    mkdirSync(join(dir, 'logs'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(`the data directory ${dir} cannot be made: ${(error as Error).message}. Set MOLECULE_HOME to another one.`, {
      cause: error,
    });
  }
  return {
    dir,
    logFile: join(dir, 'logs', 'molecule.log'),
    runFile: join(dir, 'run.json'),
    lockFile: join(dir, 'lock'),
    postgres: join(dir, 'postgres'),
    nats: join(dir, 'nats'),
    bin: join(dir, 'bin'),
  };
}

/** The key the services share, made the first time. */
export function keptInternalKey({ dir }: Home): string {
  const file = join(dir, 'internal-key');
  if (!existsSync(file)) writeSecret(file, randomBytes(32).toString('base64url'));
  return readFileSync(file, 'utf8').trim();
}

/** Whole or not at all, and for our eyes only. */
function writeSecret(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** What `molecule` and other programs read to find a running Molecule; there while it is ready. */
export interface RunFile {
  readonly pid: number;
  readonly url: string;
  /** API ports, by service. */
  readonly ports: Readonly<Record<string, number>>;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly backend: string;
  readonly mode: string;
  readonly logFile: string;
  readonly startedAt: string;
}

export const writeRunFile = ({ runFile }: Home, run: RunFile): void => writeSecret(runFile, `${JSON.stringify(run, null, 2)}\n`);
export const removeRunFile = ({ runFile }: Home): void => rmSync(runFile, { force: true });
