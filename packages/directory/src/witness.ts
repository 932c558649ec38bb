/** The directory's side of a barrier: says that it is there, and answers when it has applied what it is asked about (I4). */
import type { Bus } from '@molecule/bus';
import { type ServiceName, subjects } from '@molecule/contracts';
import { type Clock, type Log, sleep } from '@molecule/service';
import { BarrierRequest, PRESENCE_EVERY_MS, type Presence, read } from './presence.ts';

export interface WitnessOptions {
  readonly service: ServiceName;
  readonly instance: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly tick: () => void;
  /** The version of a workspace that was applied and told; 0 when there is none. */
  readonly versionOf: (workspaceId: string) => number;
}

interface Asked {
  readonly version: number;
  readonly answer: () => void;
  readonly until: number;
}

/** Whoever asked has stopped waiting long before. */
const FORGET_MS = 10_000;
const FLUSH_MS = 1_000;

export class Witness {
  readonly #bus: Bus;
  readonly #options: WitnessOptions;
  readonly #asked = new Map<string, Asked[]>();
  readonly #stopping = new AbortController();
  readonly #release: (() => void)[] = [];
  #beating: Promise<void> = Promise.resolve();

  constructor(bus: Bus, options: WitnessOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  /** From here on barriers wait for this directory. Resolves when the server has passed that on (bounded). */
  async start(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { nats } = this.#bus;
    const barriers = nats.subscribe(subjects.directoryBarrier, {
      callback: (error, message) => {
        const request = error ? undefined : read(BarrierRequest, message.string());
        if (request?.kind === 'who') this.#say('here');
        else if (request) this.#ask(request, () => message.respond(JSON.stringify({ instance: this.#options.instance })));
      },
    });
    this.#release.push(
      () => barriers.unsubscribe(),
      this.#bus.onReconnect(() => this.#say('here')),
    );
    this.#say('here');
    await this.#flush();
    this.#beating = this.#beat();
  }

  /** A workspace has changed: whoever asked about it may be answered now. */
  applied(workspaceId: string): void {
    if (this.#asked.size === 0) return;
    const asked = this.#asked.get(workspaceId);
    if (!asked) return;
    const version = this.#options.versionOf(workspaceId);
    const open = asked.filter((one) => one.version > version);
    if (open.length === 0) this.#asked.delete(workspaceId);
    else this.#asked.set(workspaceId, open);
    for (const one of asked) if (one.version <= version) this.#guard(one.answer);
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    const started = this.#release.length > 0;
    for (const release of this.#release.splice(0)) release();
    if (started) {
      this.#say('bye');
      await this.#flush();
    }
    await this.#beating;
  }

  #ask({ workspaceId, version }: { workspaceId: string; version: number }, answer: () => void): void {
    if (this.#options.versionOf(workspaceId) >= version) {
      this.#guard(answer);
      return;
    }
    const asked = this.#asked.get(workspaceId);
    const one: Asked = { version, answer, until: this.#options.clock.monotonicMs() + FORGET_MS };
    if (asked) asked.push(one);
    else this.#asked.set(workspaceId, [one]);
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(PRESENCE_EVERY_MS, signal);
      if (signal.aborted) return;
      this.#say('here');
      this.#forget();
      this.#guard(this.#options.tick);
    }
  }

  #forget(): void {
    const now = this.#options.clock.monotonicMs();
    for (const [workspaceId, asked] of this.#asked) {
      const open = asked.filter(({ until }) => until > now);
      if (open.length === 0) this.#asked.delete(workspaceId);
      else if (open.length < asked.length) this.#asked.set(workspaceId, open);
    }
  }

  #say(kind: 'here' | 'bye'): void {
    const { instance, service } = this.#options;
    const presence: Presence = kind === 'here' ? { kind, instance, service } : { kind, instance };
    this.#guard(() => {
      if (this.#bus.connected) this.#bus.nats.publish(subjects.directoryPresence, JSON.stringify(presence));
    });
  }

  async #flush(): Promise<void> {
    if (!this.#bus.connected || this.#bus.nats.isClosed()) return;
    const bound = new AbortController();
    await Promise.race([this.#bus.nats.flush().catch(() => {}), sleep(FLUSH_MS, bound.signal)]);
    bound.abort();
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.log.error({ err: error }, 'a barrier could not be served');
    }
  }
}
