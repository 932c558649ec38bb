/**
 * The image of the echo runtime, made on this machine: nothing is pulled, so it works without a registry.
 *
 * Where the engine runs what runs here (Linux, same processor), it holds this very Node.js, the libraries it is linked with,
 * and the runtime package. Elsewhere (Docker Desktop) the package is laid over the official Node.js image instead.
 *
 *   E1. The tag is a hash of all that goes in: what is there already is used, what has changed is made anew.
 *   E2. Of earlier ones the latest few stay, and those in use: an image is large, and soon made again.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { arch } from 'node:os';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Log } from '@molecule/service';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { isPresent } from '../backends/docker/images.ts';

const run = promisify(execFile);

const RUNTIME = fileURLToPath(new URL('../../../../packages/runtime', import.meta.url));
const LIBRARIES = ['zod', 'yaml'];
const BASE_IMAGE = 'node:24-bookworm-slim';
const MAIN = '/app/packages/runtime/src/main.ts';
/** Node's name of a processor, and the engine's. */
const PROCESSORS: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const REPOSITORY = 'molecule/echo';
const KEPT = 3;
const SHAPE = 1; // to be raised when what is done below changes

interface Entry {
  /** In the image, without a slash in front. */
  readonly name: string;
  /** On this machine. */
  readonly source: string;
  readonly executable: boolean;
}

/** Makes sure of the image and answers its name. One at a time per process; a second caller waits for the first. */
export class EchoImage {
  readonly #docker: Docker;
  readonly #log: Pick<Log, 'info'>;
  #ensuring: Promise<string> | undefined;

  constructor(docker: Docker, log: Pick<Log, 'info'>) {
    this.#docker = docker;
    this.#log = log;
  }

  ensure(signal: AbortSignal): Promise<string> {
    this.#ensuring ??= this.#ensure(signal).finally(() => {
      this.#ensuring = undefined;
    });
    return this.#ensuring;
  }

  async #ensure(signal: AbortSignal): Promise<string> {
    const { Os, Arch } = await this.#docker.version();
    const alike = process.platform === Os && PROCESSORS[arch()] === Arch;
    const entries = [...(await packageEntries()), ...(alike ? await nodeEntries() : [])];
    const tag = (await hashOf(entries, alike)).slice(0, 16);
    const image = `${REPOSITORY}:${tag}`;
    if (await isPresent(this.#docker, image, signal)) return image; // E1
    this.#log.info({ image }, 'making the image of the echo runtime');
    const progress = alike ? await this.#fromNothing(entries, tag, signal) : await this.#overNode(entries, image, signal);
    await new Promise<void>((resolve, reject) =>
      this.#docker.modem.followProgress(progress, (error: unknown) => (error ? reject(error) : resolve())),
    );
    await this.#forgetOld();
    return image;
  }

  /** E2. The engine itself refuses to remove what a container uses. */
  async #forgetOld(): Promise<void> {
    const images = await this.#docker.listImages({ filters: { reference: [REPOSITORY] } });
    const old = images.toSorted((one, other) => other.Created - one.Created).slice(KEPT);
    const remove = ({ Id }: { Id: string }) => this.#docker.getImage(Id).remove();
    await Promise.allSettled(old.map(remove));
  }

  async #fromNothing(entries: readonly Entry[], tag: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    const changes = [`ENTRYPOINT ["/usr/bin/node","${MAIN}"]`, 'ENV ADAPTER_MODULE=echo', 'ENV PATH=/usr/bin', 'WORKDIR /app'];
    const archive = archiveOf(entries);
    const options = { repo: REPOSITORY, tag, changes, abortSignal: signal };
    return await this.#docker.importImage(archive, options);
  }

  async #overNode(entries: readonly Entry[], image: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    const dockerfile = `FROM ${BASE_IMAGE}\nCOPY app /app\nENV ADAPTER_MODULE=echo\nWORKDIR /app\nENTRYPOINT ["node","${MAIN}"]\n`;
    return await this.#docker.buildImage(archiveOf(entries, dockerfile), { t: image, abortSignal: signal });
  }
}

/** The runtime and what it imports, laid out so that Node finds it. Its other dependencies are types, gone when it runs. */
async function packageEntries(): Promise<Entry[]> {
  const own = (await filesOf(join(RUNTIME, 'src'))).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const entries = [...own, join(RUNTIME, 'package.json')].map((source) => ({
    name: join('app/packages/runtime', relative(RUNTIME, source)),
    source,
    executable: false,
  }));
  for (const library of LIBRARIES) {
    const root = await realpath(join(RUNTIME, 'node_modules', library));
    const needed = (await filesOf(root)).filter((file) => /(\.js|\.cjs|\.mjs|package\.json)$/.test(file));
    entries.push(
      ...needed.map((source) => ({ name: join('app/node_modules', library, relative(root, source)), source, executable: false })),
    );
  }
  return entries;
}

/** Node and the shared libraries it is linked with, at the paths where the loader looks. */
async function nodeEntries(): Promise<Entry[]> {
  const node = await realpath(process.execPath);
  const { stdout } = await run('ldd', [node], { timeout: 10_000 });
  const libraries = [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+)/gm)].map(([, path]) => path as string);
  return [
    { name: 'usr/bin/node', source: node, executable: true },
    ...libraries.map((source) => ({ name: source.slice(1), source, executable: true })),
  ];
}

async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Of small files the content; of the large binaries, whose path and size say enough, no more than that. */
async function hashOf(entries: readonly Entry[], alike: boolean): Promise<string> {
  const hash = createHash('sha256').update(`${SHAPE} ${alike} ${process.version} ${BASE_IMAGE}`);
  for (const { name, source, executable } of entries) {
    hash.update(`\0${name}\0`).update(executable ? `${(await stat(source)).size}` : await readFile(source));
  }
  return hash.digest('hex');
}

/** A root file system, or with a Dockerfile the context of a build. */
function archiveOf(entries: readonly Entry[], dockerfile?: string): NodeJS.ReadableStream {
  const tar = pack();
  const fill = async () => {
    if (dockerfile !== undefined) tar.entry({ name: 'Dockerfile' }, dockerfile);
    else for (const name of ['configs', 'workspace', 'plugins']) tar.entry({ name, type: 'directory', mode: 0o755 });
    if (dockerfile === undefined) {
      tar.entry({ name: 'tmp', type: 'directory', mode: 0o1777 });
      tar.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/root:/bin/false\nagent:x:1000:1000:agent:/workspace:/bin/false\n');
      tar.entry({ name: 'etc/group' }, 'root:x:0:\nagent:x:1000:\n');
    }
    for (const { name, source, executable } of entries) {
      const { size } = await stat(source);
      await pipeline(createReadStream(source), tar.entry({ name, size, mode: executable ? 0o755 : 0o644 }));
    }
    tar.finalize();
  };
  fill().catch((error: Error) => tar.destroy(error));
  return tar as unknown as NodeJS.ReadableStream; // it is one, but for members that nobody here calls
}
