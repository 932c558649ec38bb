/**
 * The workspace's token, one line in `<CONFIGS_DIR>/.auth_token` (spec 4 §2).
 *
 *   T1. The file is 0600 from its first byte, and appears whole: it is written aside and renamed.
 *   T2. A token that was read once is kept in memory; `reread` forgets it, for when the platform refuses it.
 *   T3. An empty or missing file means "no token yet".
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class TokenFile {
  readonly #path: string;
  #cached: string | undefined;

  constructor(configsDir: string) {
    this.#path = join(configsDir, '.auth_token');
  }

  /** The token, or `undefined` while there is none. */
  read(): string | undefined {
    this.#cached ??= this.#fromDisk();
    return this.#cached;
  }

  reread(): string | undefined {
    this.#cached = undefined;
    return this.read();
  }

  /** Throws a `TypeError` for an empty token. An identical one leaves the file alone. */
  save(given: string): void {
    const token = given.trim();
    if (token === '') throw new TypeError('an empty token is not saved');
    if (this.#fromDisk() !== token) {
      const aside = `${this.#path}.${randomBytes(6).toString('hex')}`;
      try {
        writeFileSync(aside, token, { mode: 0o600, flag: 'wx' });
        renameSync(aside, this.#path);
      } catch (error) {
        rmSync(aside, { force: true });
        throw error;
      }
    }
    this.#cached = token;
  }

  #fromDisk(): string | undefined {
    try {
      return readFileSync(this.#path, 'utf8').trim() || undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
