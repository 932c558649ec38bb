/**
 * Files of an agent that is a process, reached directory by directory.
 *
 *   W1. Every directory is opened as a name in the one before it, and must be one itself, not a link to one (B7). On Linux all that
 *       follows happens in that very directory, whatever becomes of its name meanwhile.
 *   W2. A file appears under its name when it is whole. Of files that go together none appears before all are written (B8).
 *   W3. What a platform that was killed had half written is removed by who next writes there.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type { CopyOutOutcome, FileIn } from '../backend.ts';
import { closeAll, openAll } from '../sources.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const ON_LINUX = process.platform === 'linux';
const UNFINISHED = /^\.molecule-[0-9a-f]{32}\.part$/;
/** Nobody writes a file for as long as that. */
const GIVEN_UP_AFTER_MS = 3_600_000;

/** Where a file is on this machine: the directory that stands for a root of the agent, and the names below it. */
export interface Place {
  readonly base: string;
  readonly names: readonly string[];
}

/** W2. @throws when any of them cannot be written; then none of them is there that was not before. */
export async function writeFiles(
  files: readonly { readonly file: FileIn; readonly place: Place }[],
  signal: AbortSignal,
): Promise<void> {
  const sources = await openAll(files.map(({ file }) => file));
  const directories = new Map<string, Directory>();
  const written: Unnamed[] = [];
  try {
    for (const [index, { file, place }] of files.entries()) {
      const way = { base: place.base, names: place.names.slice(0, -1) };
      const key = join(way.base, ...way.names);
      const directory = directories.get(key) ?? (await Directory.forWriting(way));
      directories.set(key, directory);
      written.push(await Unnamed.write(directory, place.names.at(-1), { file, source: sources[index] as Readable, signal }));
    }
    signal.throwIfAborted();
    for (const one of written) await one.name();
  } catch (error) {
    for (const one of written) await one.undo().catch(() => {}); // the first failure is the one to tell
    throw error;
  } finally {
    closeAll(sources);
    for (const directory of directories.values()) await directory.close();
  }
}

/** A file that may be read from its beginning to its end, or why there is none. */
export async function readFile({ base, names }: Place, signal: AbortSignal): Promise<CopyOutOutcome> {
  const name = names.at(-1);
  if (name === undefined) return { outcome: 'not-a-file' };
  const directory = await Directory.onTheWay(base, names.slice(0, -1), 'as-it-is').catch(unlessOnTheWay);
  if (directory === undefined) return { outcome: 'not-found' };
  try {
    // O_NONBLOCK: a pipe that nobody writes to would never open.
    const handle = await open(directory.path(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(unlessThere);
    if (handle === undefined) return { outcome: 'not-found' };
    const content = await contentOf(handle, signal);
    return content === undefined ? { outcome: 'not-a-file' } : { outcome: 'file', ...content };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP' || code === 'ENXIO') return { outcome: 'not-a-file' }; // a link; a socket
    throw error;
  } finally {
    await directory.close();
  }
}

/** Closes the file itself, or what is returned does. */
async function contentOf(handle: FileHandle, signal: AbortSignal): Promise<{ size: number; content: Readable } | undefined> {
  try {
    const stat = await handle.stat();
    if (stat.isFile() && stat.size > 0) {
      const content = handle.createReadStream({ start: 0, end: stat.size - 1 });
      return { size: stat.size, content: addAbortSignal(signal, content) };
    }
    await handle.close();
    return stat.isFile() ? { size: 0, content: Readable.from([]) } : undefined;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A file that is written, but not yet under its name. */
class Unnamed {
  readonly #directory: Directory;
  readonly #name: string;
  readonly #temporary = `.molecule-${randomBytes(16).toString('hex')}.part`;
  /** Whether its name is its own, not one that was there before. */
  #named = false;

  private constructor(directory: Directory, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  static async write(
    directory: Directory,
    name: string | undefined,
    { file, source, signal }: { readonly file: FileIn; readonly source: Readable; readonly signal: AbortSignal },
  ): Promise<Unnamed> {
    if (name === undefined) throw new TypeError('a root is no file');
    const unnamed = new Unnamed(directory, name);
    try {
      await unnamed.#write(file, source, signal);
      return unnamed;
    } catch (error) {
      await unnamed.undo().catch(() => {}); // the first failure is the one to tell
      throw error;
    }
  }

  async #write({ mode, size }: FileIn, source: Readable, signal: AbortSignal): Promise<void> {
    const handle = await open(this.#at(this.#temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await handle.writeFile(addAbortSignal(signal, source));
      const { size: written } = await handle.stat();
      if (written !== size) throw new Error(`a file of ${size} bytes had ${written}`);
      await handle.chmod(mode);
    } finally {
      await handle.close();
    }
  }

  /** Puts it where it belongs: in place of a file or a link, never of a directory, and never through a link. */
  async name(): Promise<void> {
    const before = await lstat(this.#at(this.#name)).catch(unlessThere);
    await rename(this.#at(this.#temporary), this.#at(this.#name));
    this.#named = before === undefined;
  }

  async undo(): Promise<void> {
    await rm(this.#at(this.#temporary), { force: true });
    if (this.#named) await rm(this.#at(this.#name), { force: true });
  }

  #at(name: string): string {
    return this.#directory.path(name);
  }
}

/** A directory that is held open (W1). */
class Directory {
  readonly #handle: FileHandle;
  readonly #path: string;

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** The last of `names` below `base`. @throws when one of them is not there, or is no directory. */
  static async onTheWay(base: string, names: readonly string[], missing: 'made' | 'as-it-is'): Promise<Directory> {
    let directory = new Directory(await open(base, O_RDONLY | O_DIRECTORY), base);
    for (const name of names) {
      const parent = directory;
      try {
        if (missing === 'made') await parent.#make(name);
        const handle = await open(parent.path(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        directory = new Directory(handle, join(parent.#path, name));
      } finally {
        await parent.close();
      }
    }
    return directory;
  }

  /** A name in it, to be given to the file system. */
  path(name: string): string {
    return ON_LINUX ? `/proc/self/fd/${this.#handle.fd}/${name}` : join(this.#path, name);
  }

  /** The same, made where it is missing, and tidied up (W3). */
  static async forWriting({ base, names }: Place): Promise<Directory> {
    const directory = await Directory.onTheWay(base, names, 'made');
    await directory.#removeUnfinished(Date.now() - GIVEN_UP_AFTER_MS);
    return directory;
  }

  async #removeUnfinished(beforeMs: number): Promise<void> {
    const names = await readdir(ON_LINUX ? `/proc/self/fd/${this.#handle.fd}` : this.#path);
    for (const name of names.filter((one) => UNFINISHED.test(one))) {
      const found = await lstat(this.path(name)).catch(unlessThere);
      if (found !== undefined && found.mtimeMs < beforeMs) await rm(this.path(name), { force: true });
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** With the permissions of the one it is in. */
  async #make(name: string): Promise<void> {
    const { mode } = await this.#handle.stat();
    const made = await mkdir(this.path(name), { mode: mode & 0o777 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (!made) return;
    const handle = await open(this.path(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    await handle.chmod(mode & 0o777).finally(() => handle.close());
  }
}

/** Not there, or behind something that is no directory. */
const unlessThere = (error: NodeJS.ErrnoException): undefined => {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
};

/** A link on the way is `ENOTDIR` to Linux and `ELOOP` to others. */
const unlessOnTheWay = (error: NodeJS.ErrnoException): undefined => (error.code === 'ELOOP' ? undefined : unlessThere(error));
