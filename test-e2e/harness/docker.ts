/** The Docker engine as an operator sees it beside a running cluster: containers and volumes by their names, and what is left of them. */
import { execFile } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { id12 } from '@molecule/contracts';
import { type Docker, dockerState } from '@molecule/testkit';

const BUILD_ECHO = fileURLToPath(new URL('../../deploy/images/build-echo.ts', import.meta.url));
/** What marks ours (spec 3 §1.4), spelt out: other installations and older versions must know it too. */
export const LABELS = { managed: 'molecule.platform.managed', installation: 'molecule.platform.installation' } as const;

const BUILD_LIMIT_MS = 180_000;
const TAR_BLOCK = 512;

/** The engine, or `undefined` with the reason on stderr. @throws in CI, where it must be there */
export async function engineOrSkip(): Promise<Docker | undefined> {
  const state = await dockerState();
  if (state.available) return state.docker;
  if (process.env['CI'] === 'true') throw new Error(`Docker is needed for these tests, and ${state.reason}`);
  process.stderr.write(`skipped: Docker is needed for these tests, and ${state.reason}\n`);
  return undefined;
}

export interface Leftover {
  readonly installation?: string;
}

export class Engine {
  readonly #docker: Docker;
  /** The prefixes of everything that this test knows of: to be gone when it is over. */
  readonly #prefixes = new Set<string>();
  readonly #workspaceVolumes = new Set<string>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** The name of the local echo image, made from this machine's own files when it is not there. Pulls nothing. */
  async echoImage(): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [BUILD_ECHO], { timeout: BUILD_LIMIT_MS });
    return stdout.trim();
  }

  /** Remembers a workspace, so that nothing of it is left by `clean`. Answers the prefix by which the engine knows it. */
  track(workspaceId: string): string {
    const prefix = id12(workspaceId);
    this.#prefixes.add(prefix);
    this.#workspaceVolumes.add(`ws-${workspaceId}-workspace`);
    return prefix;
  }

  /** What the engine says of the container of a workspace; `undefined` when it has none. */
  async container(prefix: string): Promise<Docker.ContainerInspectInfo | undefined> {
    return await orGone(this.#docker.getContainer(`ws-${prefix}`).inspect());
  }

  async volume(prefix: string): Promise<Docker.VolumeInspectInfo | undefined> {
    return await orGone(this.#docker.getVolume(`ws-${prefix}-configs`).inspect());
  }

  /** A file in a container, and its mode, as the engine has them. */
  async file(prefix: string, path: string): Promise<{ readonly mode: number; readonly text: string }> {
    const archive = await buffer(await this.#docker.getContainer(`ws-${prefix}`).getArchive({ path }));
    const octal = (from: number, to: number) => Number.parseInt(archive.toString('latin1', from, to), 8);
    const size = octal(124, 136);
    return { mode: octal(100, 108) & 0o777, text: archive.toString('utf8', TAR_BLOCK, TAR_BLOCK + size) };
  }

  /** The same as `docker kill`. */
  async kill(prefix: string): Promise<void> {
    await this.#docker.getContainer(`ws-${prefix}`).kill();
  }

  /**
   * A running container with a configuration volume, as a crash would leave them: both labelled for `installation`, or not at all.
   * Answers when it was made, by the engine's clock, in ms since the epoch.
   */
  async leave(prefix: string, image: string, { installation }: Leftover = {}): Promise<number> {
    this.#prefixes.add(prefix);
    const labels = installation === undefined ? {} : { [LABELS.managed]: 'true', [LABELS.installation]: installation };
    const volume = `ws-${prefix}-configs`;
    await this.#docker.createVolume({ Name: volume, Labels: labels });
    const container = await this.#docker.createContainer({
      name: `ws-${prefix}`,
      Image: image,
      Entrypoint: ['/usr/bin/node', '-e', 'setInterval(() => {}, 60_000)'],
      Labels: labels,
      HostConfig: { NetworkMode: 'none', Binds: [`${volume}:/configs`] },
    });
    await container.start();
    // The first of what is left, to the second: the grace counts from there.
    const { CreatedAt } = (await this.#docker.getVolume(volume).inspect()) as { readonly CreatedAt?: string };
    return Date.parse(CreatedAt ?? (await container.inspect()).Created);
  }

  /** Removes all that was tracked or left, whatever became of it. */
  async clean(): Promise<void> {
    for (const prefix of this.#prefixes) {
      await orGone(this.#docker.getContainer(`ws-${prefix}`).remove({ force: true, v: true }));
      await orGone(this.#docker.getVolume(`ws-${prefix}-configs`).remove({ force: true }));
    }
    for (const name of this.#workspaceVolumes) await orGone(this.#docker.getVolume(name).remove({ force: true }));
  }
}

const NOT_FOUND = 404;

async function orGone<Value>(asked: Promise<Value>): Promise<Value | undefined> {
  return await asked.catch((error: { statusCode?: number }) => {
    if (error.statusCode === NOT_FOUND) return undefined;
    throw error;
  });
}
