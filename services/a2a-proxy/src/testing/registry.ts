/** Answers over the bus what the registry and the provisioner would: what the tests of the proxy stand on. */
import { type Bus, RequestServer } from '@molecule/bus';
import { ask, type WorkspaceFact } from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import type { Log } from '@molecule/service';
import { StandInRegistry } from '@molecule/testkit';

export const standInRegistry = (bus: Bus, log: Log): StandInRegistry => new StandInRegistry({ bus, log, applyFact }).serve();

/** Is asked to wake workspaces, and remembers which. */
export class StandInWaker {
  readonly asked: string[] = [];
  /** Waited for before an answer. */
  before: () => Promise<unknown> = async () => undefined;
  readonly #requests: RequestServer;

  constructor(bus: Bus, log: Log) {
    this.#requests = new RequestServer(bus, 'registry', log);
    this.#requests.serve(ask.registry.wake, async ({ workspaceId }) => {
      this.asked.push(workspaceId);
      await this.before();
      return { waking: true };
    });
  }

  async stop(): Promise<void> {
    await this.#requests.drain();
  }
}

export class StandInProvisioner {
  /** What the backend says of containers; absent: it cannot say. */
  readonly containers = new Map<string, 'running' | 'stopped'>();
  backend: 'docker' | 'process' = 'process';
  readonly #requests: RequestServer;

  constructor(bus: Bus, log: Log) {
    this.#requests = new RequestServer(bus, 'provisioner', log);
    this.#requests.serve(ask.provisioner.isRunning, ({ workspaceId }) => {
      const state = this.containers.get(workspaceId);
      return { running: state === 'running', certain: state !== undefined };
    });
    this.#requests.serve(ask.provisioner.backend, () => ({ backend: this.backend, installation: 'test' }));
  }

  async stop(): Promise<void> {
    await this.#requests.drain();
  }
}

export const status = (to: 'offline' | 'online' | 'paused' | 'hibernating' | 'hibernated', clearsUrl = true): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'online', to, reason: to === 'paused' ? 'pause' : 'hibernate', clearsUrl, event: null },
});
