/**
 * Files of a container, through the engine's archives: one tar goes in, one comes out, a piece at a time.
 *
 *   A1. Every directory on the way is looked at first, and must be one itself: the engine would follow a link within the container
 *       (B7). What is made of links between the look and the act stays within the container, which is the agent's own.
 *   A2. The engine holds the container while an archive is on its way: nobody can look at it, stop it or copy anything else meanwhile.
 *       So no client is waited for: what goes in was received before, and what comes out is read ahead (`DockerBackend`).
 *   A3. The engine writes file by file. What it wrote of a batch that failed is removed by the container's own `rm`, if it has one.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Gate } from '@molecule/service';
import type Docker from 'dockerode';
import { extract, type Header, pack } from 'tar-stream';
import { type AgentPath, directoriesTo, textOf } from '../agent-path.ts';
import type { CopyOutOutcome, FileIn } from '../backend.ts';
import { closeAll, openAll } from '../sources.ts';
import { isNotFound } from './engine.ts';

/** Go's bits of a file's kind, as the engine tells them. */
const KIND = { directory: 0x80000000, special: 0x0f280000 } as const; // links, devices, pipes, sockets, and what is none of all

type Kind = 'file' | 'directory' | 'other';
const LOOKS_AT_ONCE = 8;

/** @throws when the engine could not write all of them; what it wrote is removed if possible (A3). */
export async function putFiles(container: Docker.Container, files: readonly FileIn[], signal: AbortSignal): Promise<void> {
  const sources = await openAll(files);
  try {
    const gate = new Gate(LOOKS_AT_ONCE);
    const kinds = await Promise.all(files.map(({ path }) => gate.pass(() => kindOf(container, path, signal))));
    if (kinds.includes('directory')) throw new Error('a directory is in the place of a file');
    const isNew = (_: unknown, index: number) => kinds[index] === undefined;
    try {
      for (const root of new Set(files.map(({ path }) => path.root))) {
        const pairs = files.map((file, index) => ({ file, source: sources[index] as Readable }));
        await putBelow(
          container,
          root,
          pairs.filter(({ file }) => file.path.root === root),
          signal,
        );
      }
    } catch (error) {
      await remove(container, files.filter(isNew));
      throw error;
    }
  } finally {
    closeAll(sources);
  }
}

/** A regular file, or why there is none. The engine's call ends with its content, or with `signal`. */
export async function getFile(container: Docker.Container, path: AgentPath, signal: AbortSignal): Promise<CopyOutOutcome> {
  const way = await Promise.all(directoriesTo(path).map((directory) => kindOf(container, directory, signal)));
  if (way.some((kind) => kind !== 'directory')) return { outcome: 'not-found' };
  switch (await kindOf(container, path, signal)) {
    case undefined:
      return { outcome: 'not-found' };
    case 'file':
      return await readArchive(container, path, signal);
    default:
      return { outcome: 'not-a-file' };
  }
}

async function readArchive(container: Docker.Container, path: AgentPath, signal: AbortSignal): Promise<CopyOutOutcome> {
  const first = await firstEntry(container, path, signal);
  if (first === undefined) return { outcome: 'not-found' };
  const { header, content } = first;
  if (header.type === 'file') return { outcome: 'file', size: header.size ?? 0, content };
  content.destroy();
  return { outcome: 'not-a-file' };
}

async function putBelow(
  container: Docker.Container,
  root: AgentPath['root'],
  files: readonly { readonly file: FileIn; readonly source: Readable }[],
  signal: AbortSignal,
): Promise<void> {
  const directories = await directoriesFor(
    container,
    files.map(({ file }) => file.path),
    signal,
  );
  const ending = new AbortController();
  const until = AbortSignal.any([signal, ending.signal]);
  const tar = pack().on('error', (error) => ending.abort(error));
  const fill = async () => {
    for (const { path, missing, uid, gid, mode } of directories.values())
      if (missing) tar.entry({ name: nameBelow(path), type: 'directory', mode, uid, gid });
    for (const { file, source } of files) {
      const { uid, gid } = directories.get(textOf(directoriesTo(file.path).at(-1) as AgentPath)) as Directory;
      const entry = tar.entry({ name: nameBelow(file.path), size: file.size, mode: file.mode, uid, gid });
      await pipeline(source, entry, { signal: until });
    }
    tar.finalize();
  };
  const filled = fill().catch((error: unknown) => ending.abort(error)); // half an archive is no archive
  try {
    const options = { path: root, noOverwriteDirNonDir: 'true', abortSignal: until };
    await container.putArchive(tar as unknown as NodeJS.ReadableStream, options);
  } catch (error) {
    ending.abort(error); // an engine that refuses does not hear the rest
    throw error;
  } finally {
    tar.destroy();
    await filled;
  }
}

const nameBelow = ({ names }: AgentPath): string => names.join('/');

interface Directory {
  readonly path: AgentPath;
  /** It is to be made. */
  readonly missing: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * All directories on the way to these files, by their path, outermost first. One that is missing is its parent's owner's. Of those
 * that are there the owner is asked for only where something is to be made in them.
 */
async function directoriesFor(
  container: Docker.Container,
  paths: readonly AgentPath[],
  signal: AbortSignal,
): Promise<Map<string, Directory>> {
  const found = new Map<string, Directory>();
  const ways = new Map(paths.map(directoriesTo).map((way) => [way.map(textOf).at(-1), way]));
  for (const way of ways.values()) {
    const [root] = way;
    if (root === undefined) throw new TypeError('a root is no file');
    const kinds = await Promise.all(way.map((directory) => kindOf(container, directory, signal)));
    const there = kinds.findIndex((kind) => kind !== 'directory');
    if (kinds[0] === undefined) throw new Error(`the container has no ${textOf(root)}`);
    if (there !== -1 && kinds[there] !== undefined) throw new Error(`${textOf(way[there] as AgentPath)} is no directory`);
    const deepest = way[there === -1 ? way.length - 1 : there - 1] as AgentPath;
    const owner = found.get(textOf(deepest)) ?? (await ownerOf(container, deepest, signal));
    found.set(textOf(deepest), owner);
    for (const missing of there === -1 ? [] : way.slice(there))
      if (!found.has(textOf(missing))) found.set(textOf(missing), { ...owner, path: missing, missing: true });
  }
  return found;
}

/** `undefined`: nothing is there. Of a link it is the link that counts. */
async function kindOf(container: Docker.Container, path: AgentPath, signal: AbortSignal): Promise<Kind | undefined> {
  try {
    const answer = (await container.infoArchive({ path: textOf(path), abortSignal: signal })) as unknown as Answer;
    answer.resume();
    const text = answer.headers['x-docker-container-path-stat'];
    const { mode } = JSON.parse(Buffer.from(`${text}`, 'base64').toString()) as { mode: number };
    if ((mode & KIND.directory) !== 0) return 'directory';
    return (mode & KIND.special) === 0 ? 'file' : 'other';
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

type Answer = Readable & { readonly headers: Readonly<Record<string, string | undefined>> };

/** An archive of a directory begins with the directory itself: no more of it is read. */
async function ownerOf(container: Docker.Container, path: AgentPath, signal: AbortSignal): Promise<Directory> {
  const first = await firstEntry(container, path, signal);
  if (first === undefined) throw new Error(`${textOf(path)} is gone`);
  const { uid = 0, gid = 0, mode = 0o755 } = first.header;
  first.content.destroy();
  return { path, missing: false, uid, gid, mode: mode & 0o777 };
}

/** The first entry of an archive; the engine's call ends with its content, which is read to its end or destroyed. */
async function firstEntry(
  container: Docker.Container,
  path: AgentPath,
  signal: AbortSignal,
): Promise<{ readonly header: Header; readonly content: Readable } | undefined> {
  const archive = await container.getArchive({ path: textOf(path), abortSignal: signal }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (archive === undefined) return undefined;
  return await entryOf(archive as Readable, signal);
}

async function entryOf(
  archive: Readable,
  signal: AbortSignal,
): Promise<{ readonly header: Header; readonly content: Readable } | undefined> {
  const entries = extract();
  const { promise, resolve, reject } = Promise.withResolvers<{ header: Header; content: Readable } | undefined>();
  const end = (error?: Error) => {
    entries.destroy(error);
    archive.destroy();
  };
  const giveUp = () => end(signal.reason as Error);
  signal.addEventListener('abort', giveUp, { once: true });
  archive.on('error', end).once('close', () => {
    signal.removeEventListener('abort', giveUp);
    if (!archive.readableEnded) end(new Error('the engine broke off an archive'));
  });
  entries.once('entry', (header, entry, next) => {
    entries.on('entry', (_header, other, skip) => other.resume().once('end', skip));
    entry.once('end', next);
    const content = Readable.from(entry as AsyncIterable<Buffer>, { objectMode: false });
    content.once('close', () => end());
    resolve({ header, content });
  });
  entries.on('error', reject).once('finish', () => resolve(undefined));
  archive.pipe(entries as unknown as NodeJS.WritableStream);
  return await promise;
}

const REMOVAL_LIMIT_MS = 10_000;

/** Best effort (A3): under names of links, it is the links that go. */
async function remove(container: Docker.Container, files: readonly FileIn[]): Promise<void> {
  if (files.length === 0) return;
  const abortSignal = AbortSignal.timeout(REMOVAL_LIMIT_MS);
  const Cmd = ['rm', '-f', '--', ...files.map(({ path }) => textOf(path))];
  try {
    const removal = await container.exec({ Cmd, AttachStdout: true, AttachStderr: true, abortSignal });
    const output = await removal.start({ abortSignal });
    await output.resume().toArray();
  } catch {
    // The failure before this one is the one to tell.
  }
}
