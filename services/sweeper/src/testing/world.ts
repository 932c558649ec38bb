/** Sweepers on a real bus and a real database, and stand-ins for the gateway and the provisioner that they ask. */
import { type Bus, RequestServer } from '@molecule/bus';
import { ask, type Identity, type ManagedResource, type RequestContext } from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import { CONTEXT_HEADER, type RunningService, signContext } from '@molecule/http';
import { createBasics, type Log, type Loops, readConfig, Scope } from '@molecule/service';
import { it as base, type SignedAnswer, Surroundings, signedRequest, waitFor } from '@molecule/testkit';
import { Config } from '../config.ts';
import { createSweeper } from '../service.ts';

const INTERNAL_KEY = 'a key that only our services know';
const sign = (context: RequestContext) => ({ [CONTEXT_HEADER]: signContext(context, INTERNAL_KEY) });

/** Short, so that it is looked at often; it passes by the world's clock alone. */
export const LEASE_MS = 200;
export const GRACE_MS = 60_000;
export const INSTALLATION = 'ours';

export interface Running {
  readonly service: RunningService;
  readonly loops: Loops;
  close(): Promise<void>;
}

type Outcome = 'stopped' | 'not-found' | 'failed' | 'no-backend';

/** Says whether beats are accepted. */
export class StandInGateway {
  ready = true;
  #requests: RequestServer | undefined;
  readonly #serve: () => RequestServer;

  constructor(bus: Bus, log: Log) {
    this.#serve = () => {
      const requests = new RequestServer(bus, 'gateway', log);
      const health = { service: 'gateway', instance: 'gateway-test', checks: {}, loops: {} } as const;
      requests.serve(ask.health.gateway, () => ({ ...health, ready: this.ready }));
      return requests;
    };
    this.start();
  }

  start(): void {
    this.#requests ??= this.#serve();
  }

  async stop(): Promise<void> {
    const requests = this.#requests;
    this.#requests = undefined;
    await requests?.drain();
  }
}

/** Runs what it is told to run, and remembers what it was told to reap. */
export class StandInProvisioner {
  backend: 'docker' | 'none' = 'docker';
  resources: ManagedResource[] = [];
  readonly reaped: string[] = [];
  /** How often it was asked what there is. */
  listed = 0;
  /** Fails to say what there is. */
  failing = false;
  outcome: Outcome = 'stopped';
  readonly #requests: RequestServer;

  constructor(bus: Bus, log: Log) {
    this.#requests = new RequestServer(bus, 'provisioner', log);
    this.#requests.serve(ask.provisioner.backend, () => ({ backend: this.backend, installation: INSTALLATION }));
    this.#requests.serve(ask.provisioner.listManaged, () => {
      this.listed++;
      if (this.failing) throw new Error('the engine does not answer');
      return { backend: this.backend, resources: this.resources };
    });
    this.#requests.serve(ask.provisioner.reap, ({ prefix }) => {
      this.reaped.push(prefix);
      const stopped = this.outcome === 'stopped';
      if (stopped) this.resources = this.resources.filter((resource) => resource.prefix !== prefix);
      return { outcome: this.outcome, volumeRemoved: stopped };
    });
  }

  stop(): Promise<void> {
    return this.#requests.drain();
  }
}

export class World {
  readonly around: Surroundings;
  readonly gateway: StandInGateway;
  readonly provisioner: StandInProvisioner;
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: Log;

  constructor(around: Surroundings, bus: Bus, env: Readonly<Record<string, string>>, log: Log) {
    this.around = around;
    this.gateway = new StandInGateway(bus, log);
    this.provisioner = new StandInProvisioner(bus, log);
    this.#env = env;
    this.#log = log;
  }

  /** Starts a replica. It looks all the time, and judges by the world's clock. */
  async sweeper(env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const scope = new Scope();
    await this.around.scope.open(
      () => scope,
      (open) => open.close(),
    );
    const basics = createBasics('sweeper', { level: 'info', log: this.#log, clock: this.around.clock });
    const service = await createSweeper(readConfig(Config, { ...this.#env, ...env }), basics, scope);
    return { service, loops: basics.loops, close: () => scope.close() };
  }

  /** Resolves when a look that began after this call has ended well in each of them. */
  async looked(
    loop: 'liveness-monitor' | 'orphan-sweeper' | 'remote-staleness' | 'provision-timeout-sweep',
    ...sweepers: Running[]
  ): Promise<void> {
    // The first end may be that of a look that had begun before.
    for (const { loops } of sweepers)
      for (let ends = 0; ends < 2; ends++) {
        this.around.clock.advance(1);
        const now = this.around.clock.now().getTime();
        const ended = () => Date.parse(loops.snapshot()[loop]?.lastTickAt ?? '') >= now;
        await waitFor(ended, { what: `a look of ${loop}`, timeoutMs: 10_000 });
      }
  }

  findings({ service }: Running, as: Identity = { kind: 'admin' }): Promise<SignedAnswer> {
    return signedRequest({ url: `http://127.0.0.1:${service.port}/admin/sweeps`, as, sign });
  }

  /** The types in the log, in order. */
  async log(): Promise<string[]> {
    const rows = await this.around.rows<{ type: string }>('select type from events order by position');
    return rows.map(({ type }) => type);
  }

  async close(): Promise<void> {
    await this.around.close();
    await this.gateway.stop();
    await this.provisioner.stop();
  }
}

/** `it` with a world: a bus, a database, a registry, a gateway and a provisioner that answer, and a way to start sweepers. */
export const it = base.extend('world', async ({ natsUrl, postgresUrl, bus, log }, { onCleanup }) => {
  const around = await Surroundings.open({ bus, log, postgresUrl, schema: 'sweeper', applyFact });
  const env = {
    NATS_URL: natsUrl,
    DATABASE_URL: postgresUrl,
    MOLECULE_INTERNAL_KEY: INTERNAL_KEY,
    LIVENESS_LEASE_SECONDS: `${LEASE_MS / 1000}`,
    SWEEP_INTERVAL_SECONDS: '0.02',
    ORPHAN_GRACE_SECONDS: `${GRACE_MS / 1000}`,
    PORT: '0',
    OPS_PORT: '0',
  };
  const world = new World(around, bus, env, log);
  onCleanup(() => world.close());
  return world;
});
