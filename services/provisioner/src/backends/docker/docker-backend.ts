/**
 * Each workspace is a container `ws-<id12>` of the Docker engine (spec 3 §1.2–1.8).
 *
 *   D1. What bears the name but not our label, or another installation's, is neither removed nor replaced: the start fails (B4).
 *   D2. A start that fails or is given up removes the container it made.
 *   D3. Everything the agent reads at its start, its token too, is in the volume before it starts.
 *   D4. An engine that cannot give privileges is not asked for them again: an agent with fewer is better than none.
 *   D5. A stop ends what is copied in or out: the engine would wait for it, and who reads slowly would keep a container alive.
 */
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { id12 } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type Docker from 'dockerode';
import type { Spool } from '../../spool.ts';
import type { AgentPath } from '../agent-path.ts';
import {
  aborted,
  type Backend,
  type CopyInOutcome,
  type CopyOutOutcome,
  type FileIn,
  isPrefix,
  LABELS,
  type ListOutcome,
  MAX_READ_BYTES,
  NAME_PREFIX,
  type StartOutcome,
  type StopOutcome,
  type WorkloadSpec,
} from '../backend.ts';
import { archiveOf, fileOf } from './archive.ts';
import { getFile, putFiles } from './container-files.ts';
import {
  AGENT_PORT,
  type ContainerSettings,
  configVolume,
  containerName,
  containerOptions,
  internalUrl,
  labelsOf,
  onHostNetwork,
  sessionVolume,
  wantsPrivileges,
} from './container-spec.ts';
import { isConflict, isMissingImage, isNotFound, lacksPrivileges, within } from './engine.ts';
import { ensureImage, imageFor } from './images.ts';

export interface DockerBackendOptions extends Omit<ContainerSettings, 'platformUrl' | 'cpus' | 'privileges'> {
  /** Where agents reach the gateway; asked for at each start. */
  readonly platformUrl: () => Promise<string>;
  readonly docker: Docker;
  /** Images of our own, by runtime. */
  readonly images: Readonly<Record<string, string>>;
  /** Makes sure of images that are built here and pulled from nowhere; `undefined` for a runtime without one. */
  readonly localImage: (runtime: string, signal: AbortSignal) => Promise<string | undefined>;
  readonly platform: string | undefined;
  /** Where files wait that come out faster than they are read. */
  readonly spool: Spool;
  /** Larger ones do not wait there: they hold their container while they are read (A2). */
  readonly spooledBytes: number;
  readonly log: Log;
}

type Labels = Readonly<Record<string, string>> | undefined;

const URL_TRIES = 3;
const URL_PAUSE_MS = 500;
/** Somebody removes the name that we are about to take: seen when the engine is slow. */
const CREATE_TRIES = 3;

export class DockerBackend implements Backend {
  readonly name = 'docker';
  readonly onHostNetwork: boolean;
  readonly #docker: Docker;
  readonly #options: DockerBackendOptions;
  #privileges = true;
  /** Of each container whose files are on their way: how to end that (D5). */
  readonly #copies = new Map<string, Set<AbortController>>();

  constructor(options: DockerBackendOptions) {
    this.#docker = options.docker;
    this.#options = options;
    this.onHostNetwork = options.network === 'host';
  }

  async start(spec: WorkloadSpec, signal: AbortSignal): Promise<StartOutcome> {
    try {
      const url = await this.#start(spec, signal).catch((error: unknown) => {
        if (!wantsPrivileges(spec) || !lacksPrivileges(error)) throw error;
        // D4. One that began at the same time may have found it out already: this one was asked for with them all the same.
        if (this.#privileges)
          this.#options.log.warn({ err: error }, 'the engine cannot give privileges; tiers 3 and 4 do without from here on');
        this.#privileges = false;
        return this.#start(spec, signal);
      });
      return { outcome: 'started', url };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  /** Answers the URL. @throws when it does not run; then its container is gone (D2). */
  async #start(spec: WorkloadSpec, signal: AbortSignal): Promise<string> {
    const { images, localImage, network, log } = this.#options;
    const prefix = id12(spec.workspaceId);
    const local = images[spec.runtime] === undefined ? await localImage(spec.runtime, signal) : undefined;
    const image = local ?? imageFor(spec.runtime, images);
    // What was made here is made for this engine.
    const platform = local === undefined ? this.#options.platform : undefined;
    const hostPort = onHostNetwork(spec, network) ? await freePort() : undefined;
    if (hostPort === undefined) await this.#ensureNetwork(network, signal);
    await this.#ensureVolume(configVolume(prefix), signal);
    await this.#removeOurs(prefix, signal);
    if (spec.runtime === 'claude-code') {
      // No container holds it now. One that cannot be removed is kept: an agent that remembers is better than none.
      if (spec.resetSession)
        await this.#removeVolume(sessionVolume(prefix), signal).catch((error: unknown) =>
          log.warn({ err: error, prefix }, 'a session volume could not be removed'),
        );
      await this.#ensureVolume(sessionVolume(prefix), signal);
    }
    await ensureImage(this.#docker, image, platform, log, signal);
    const options = containerOptions(spec, image, await this.#settings(signal), hostPort);
    const made = await this.#create(prefix, { ...options, ...(platform && { platform }) }, spec.runtime, signal);
    try {
      await this.#fill(made, spec, signal);
      if (signal.aborted) throw aborted(signal);
      await made.start({ abortSignal: signal });
      const url = hostPort === undefined ? await this.#publishedUrl(made, prefix, signal) : `http://127.0.0.1:${hostPort}`;
      if (signal.aborted) throw aborted(signal);
      return url;
    } catch (error) {
      await made.remove({ force: true }).catch((left: unknown) => {
        if (!isNotFound(left)) log.error({ err: left, prefix }, 'a container whose start failed could not be removed');
      });
      throw error;
    }
  }

  async #settings(signal: AbortSignal): Promise<ContainerSettings> {
    const { NCPU: cpus } = (await within(this.#docker.info(), signal)) as { NCPU: number };
    return { ...this.#options, platformUrl: await this.#options.platformUrl(), cpus, privileges: this.#privileges };
  }

  async stop(prefix: string, signal: AbortSignal): Promise<StopOutcome> {
    if (!isPrefix(prefix)) return { outcome: 'not-found' };
    try {
      return { outcome: await this.#removeOurs(prefix, signal) };
    } catch (error) {
      if (error instanceof NotOurs) return { outcome: 'not-found' };
      return { outcome: 'failed', cause: new Error(`force-remove ${containerName(prefix)} failed`, { cause: error }) };
    }
  }

  async isRunning(prefix: string, signal: AbortSignal): Promise<{ running: boolean; certain: boolean }> {
    try {
      const { State } = await this.#docker.getContainer(containerName(prefix)).inspect({ abortSignal: signal });
      return { running: State.Running, certain: true };
    } catch (error) {
      if (isNotFound(error)) return { running: false, certain: true };
      this.#options.log.warn({ err: error, prefix }, 'could not tell whether a container runs');
      return { running: true, certain: false };
    }
  }

  async readConfig(prefix: string, path: string, signal: AbortSignal): Promise<Buffer | undefined> {
    if (!isPrefix(prefix)) return undefined;
    const container = this.#docker.getContainer(containerName(prefix));
    try {
      const { Config, State } = await container.inspect({ abortSignal: signal });
      if (!State.Running || !this.#ours(Config.Labels)) return undefined;
      return await within(fileOf(await container.getArchive({ path: `/configs/${path}` }), MAX_READ_BYTES), signal);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async copyIn(prefix: string, files: readonly FileIn[], signal: AbortSignal): Promise<CopyInOutcome> {
    const copy = this.#copy(prefix, signal);
    try {
      const container = await this.#running(prefix, copy.signal);
      if ('outcome' in container) return container;
      await putFiles(container, files, copy.signal);
      return { outcome: 'copied' };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    } finally {
      copy.over();
    }
  }

  async copyOut(prefix: string, path: AgentPath, signal: AbortSignal): Promise<CopyOutOutcome> {
    const copy = this.#copy(prefix, signal);
    try {
      const container = await this.#running(prefix, copy.signal);
      if ('outcome' in container) {
        copy.over();
        return container;
      }
      const found = await this.#ahead(await getFile(container, path, copy.signal));
      if (found.outcome === 'file') found.content.once('close', copy.over);
      else copy.over();
      return found;
    } catch (error) {
      copy.over();
      return { outcome: 'failed', cause: error };
    }
  }

  async removeVolume(prefix: string, signal: AbortSignal): Promise<void> {
    if (!isPrefix(prefix)) return;
    await this.#removeVolume(configVolume(prefix), signal);
    await this.#removeVolume(sessionVolume(prefix), signal).catch((error: unknown) =>
      this.#options.log.warn({ err: error, prefix }, 'a session volume could not be removed'),
    );
  }

  async listManaged(signal: AbortSignal): Promise<ListOutcome> {
    const filters = { label: [`${LABELS.managed}=true`] };
    try {
      const [containers, { Volumes: volumes }] = await Promise.all([
        this.#docker.listContainers({ all: true, filters, abortSignal: signal }),
        this.#docker.listVolumes({ filters, abortSignal: signal }),
      ]);
      const byPrefix = new Map<string, { running: boolean; installation: string | null; createdAt: string | null }>();
      // Volumes first: a container says more, and takes their place.
      for (const { Name, Labels, CreatedAt } of (volumes ?? []) as { Name: string; Labels: Labels; CreatedAt?: string }[]) {
        const prefix = /^ws-([0-9a-f-]+?)-(configs|claude-sessions)$/.exec(Name)?.[1];
        if (prefix === undefined || !isPrefix(prefix)) continue;
        const createdAt = CreatedAt === undefined ? null : new Date(CreatedAt).toISOString();
        byPrefix.set(prefix, { running: false, installation: installationOf(Labels), createdAt });
      }
      for (const { Names, Labels, State, Created } of containers) {
        const name = Names.map((one) => one.replace(/^\//, '')).find((one) => one.startsWith(NAME_PREFIX));
        const prefix = name?.slice(NAME_PREFIX.length);
        if (prefix === undefined || !isPrefix(prefix)) continue;
        const createdAt = new Date(Created * 1000).toISOString();
        byPrefix.set(prefix, { running: State === 'running', installation: installationOf(Labels), createdAt });
      }
      return { outcome: 'listed', resources: [...byPrefix].map(([prefix, resource]) => ({ prefix, ...resource })) };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  /** Containers bound themselves. */
  async tend(): Promise<void> {}

  /** Containers stay, as their restart policy says. */
  async shutdown(): Promise<void> {}

  async healthy(): Promise<{ ok: boolean; detail: string }> {
    const { Version } = await this.#docker.version();
    return { ok: true, detail: `docker ${Version}, network ${this.#options.network}` };
  }

  /** A2. Reads a file to its end now, so that its container is free again, unless it is too large for that. */
  async #ahead(found: CopyOutOutcome): Promise<CopyOutOutcome> {
    const { spool, spooledBytes } = this.#options;
    if (found.outcome !== 'file' || found.size > spooledBytes) return found;
    const file = await spool.file();
    try {
      for await (const piece of found.content) await file.write(piece as Buffer);
      const content = file.content();
      content.once('close', () => void file.close());
      return { ...found, content };
    } catch (error) {
      await file.close();
      throw error;
    } finally {
      found.content.destroy();
    }
  }

  /** The container of a workload that runs and is ours (B4), or why there is none. */
  async #running(
    prefix: string,
    signal: AbortSignal,
  ): Promise<Docker.Container | Extract<CopyInOutcome, { outcome: 'not-running' | 'unavailable' }>> {
    if (!isPrefix(prefix)) return { outcome: 'not-running' };
    const container = this.#docker.getContainer(containerName(prefix));
    try {
      const { Config, State } = await container.inspect({ abortSignal: signal });
      return State.Running && this.#ours(Config.Labels) ? container : { outcome: 'not-running' };
    } catch (error) {
      return isNotFound(error) ? { outcome: 'not-running' } : { outcome: 'unavailable', cause: error };
    }
  }

  /** D5. A copy that ends with `signal`, or when the workload is stopped. */
  #copy(prefix: string, signal: AbortSignal): { readonly signal: AbortSignal; readonly over: () => void } {
    const ending = new AbortController();
    const copies = this.#copies.get(prefix) ?? new Set();
    this.#copies.set(prefix, copies.add(ending));
    const over = () => {
      copies.delete(ending);
      if (copies.size === 0 && this.#copies.get(prefix) === copies) this.#copies.delete(prefix);
    };
    return { signal: AbortSignal.any([signal, ending.signal]), over };
  }

  #ours(labels: Labels): boolean {
    return labels?.[LABELS.managed] === 'true' && [null, this.#options.installation].includes(installationOf(labels));
  }

  /** @throws NotOurs (D1) */
  async #removeOurs(prefix: string, signal: AbortSignal): Promise<'stopped' | 'not-found'> {
    for (const copy of this.#copies.get(prefix) ?? []) copy.abort(new Error('the workload is stopped')); // D5
    const container = this.#docker.getContainer(containerName(prefix));
    try {
      const { Config } = await container.inspect({ abortSignal: signal });
      if (!this.#ours(Config.Labels)) throw new NotOurs(containerName(prefix));
      await container.remove({ force: true, abortSignal: signal });
      return 'stopped';
    } catch (error) {
      if (isNotFound(error)) return 'not-found';
      if (!isConflict(error)) throw error;
      // Somebody else is removing it: it counts when it is gone.
      await this.#untilGone(container, signal);
      return 'stopped';
    }
  }

  async #untilGone(container: Docker.Container, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await container.inspect({ abortSignal: signal });
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      await delay(100, undefined, { signal });
    }
  }

  async #create(
    prefix: string,
    options: Docker.ContainerCreateOptions,
    runtime: string,
    signal: AbortSignal,
  ): Promise<Docker.Container> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#docker.createContainer({ ...options, abortSignal: signal });
      } catch (error) {
        if (isMissingImage(error)) {
          const hint = `verify GHCR visibility for ${runtime} and that the tenant has internet access`;
          throw new Error(`docker image "${options.Image}" not found after pull attempt — ${hint}`, { cause: error });
        }
        if (!isConflict(error) || attempt === CREATE_TRIES) throw new Error('failed to create container', { cause: error });
        await this.#removeOurs(prefix, signal);
      }
    }
  }

  /** D3. A container's volumes can be written to before it starts. */
  async #fill(container: Docker.Container, { seed, files }: WorkloadSpec, signal: AbortSignal): Promise<void> {
    const seeds = seed.length > 0 && !(await this.#has(container, '/configs/config.yaml', signal)) ? seed : [];
    const all = [...seeds, ...files];
    if (all.length > 0) await container.putArchive(await archiveOf(all), { path: '/configs', abortSignal: signal });
  }

  async #has(container: Docker.Container, path: string, signal: AbortSignal): Promise<boolean> {
    try {
      await container.infoArchive({ path, abortSignal: signal });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async #publishedUrl(container: Docker.Container, prefix: string, signal: AbortSignal): Promise<string> {
    for (let attempt = 1; attempt <= URL_TRIES; attempt++) {
      const { NetworkSettings } = await container.inspect({ abortSignal: signal });
      const binding = NetworkSettings.Ports[`${AGENT_PORT}/tcp`]?.[0];
      if (binding !== undefined) return `http://${binding.HostIp || '127.0.0.1'}:${binding.HostPort}`;
      if (attempt < URL_TRIES) await delay(URL_PAUSE_MS, undefined, { signal });
    }
    return internalUrl(prefix);
  }

  async #ensureNetwork(name: string, signal: AbortSignal): Promise<void> {
    try {
      await within(this.#docker.getNetwork(name).inspect(), signal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Two of one name are possible for the engine: CheckDuplicate makes the later one a conflict.
      await this.#docker.createNetwork({ Name: name, CheckDuplicate: true, abortSignal: signal }).catch(unlessConflict);
    }
  }

  async #ensureVolume(Name: string, signal: AbortSignal): Promise<void> {
    await this.#docker.createVolume({ Name, Labels: labelsOf(this.#options.installation), abortSignal: signal });
  }

  /** D1 holds for volumes too. With `force`, a missing one is success. */
  async #removeVolume(name: string, signal: AbortSignal): Promise<void> {
    const volume = this.#docker.getVolume(name);
    try {
      const { Labels } = await within(volume.inspect(), signal);
      if (!this.#ours(Labels)) return;
      await volume.remove({ force: true, abortSignal: signal });
    } catch (error) {
      if (!isNotFound(error)) throw new Error(`failed to remove volume ${name}`, { cause: error });
    }
  }
}

class NotOurs extends Error {
  constructor(name: string) {
    super(`${name} exists and is not ours`);
  }
}

const installationOf = (labels: Labels): string | null => labels?.[LABELS.installation] ?? null;

const unlessConflict = (error: unknown): void => {
  if (!isConflict(error)) throw error;
};

/** On the machine's own network an agent needs a port of its own; it is free when asked for, and seldom taken a moment later. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
