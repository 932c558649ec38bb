/**
 * Waits until every directory has applied a version: the registry answers a write that others act upon only then (I4).
 *
 *   B1. Waited for are the directories that are there; one that comes while a barrier waits is waited for too.
 *   B2. One that said bye, or was silent for three beats, is not. Silence while our own link was down counts for nothing.
 *   B3. After the bound the answer is given anyway: logged, and counted in `molecule_barrier_late_total`.
 */
import type { Bus } from '@molecule/bus';
import { subjects } from '@molecule/contracts';
import { type Basics, exposeCounter, type Log } from '@molecule/service';
import { BarrierReply, type BarrierRequest, FORGOTTEN_AFTER_MS, Presence, read } from './presence.ts';

interface Waiting {
  readonly request: string;
  readonly reply: string;
  readonly answered: Set<string>;
  readonly check: () => void;
}

const DEFAULT_TIMEOUT_MS = 500;

export class Barrier {
  readonly #bus: Bus;
  readonly #log: Log;
  /** When each instance was heard of last, `performance.now()` milliseconds. */
  readonly #present = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #inbox: string;
  readonly #release: (() => void)[] = [];
  #count = 0;
  #late = 0;

  constructor(bus: Bus, { log, metrics }: { readonly log: Log; readonly metrics?: Basics['metrics'] }) {
    this.#bus = bus;
    this.#log = log;
    this.#inbox = `_INBOX.barrier.${crypto.randomUUID()}`;
    const presence = bus.nats.subscribe(subjects.directoryPresence, {
      callback: (error, message) => {
        if (!error) this.#heard(read(Presence, message.string()));
      },
    });
    const replies = bus.nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.#answered(message.subject, read(BarrierReply, message.string()));
      },
    });
    this.#release.push(
      () => presence.unsubscribe(),
      () => replies.unsubscribe(),
      bus.onReconnect(() => this.#ask()),
    );
    if (metrics)
      exposeCounter(metrics, {
        name: 'molecule_barrier_late_total',
        help: 'Writes answered before every directory had applied them.',
        read: () => this.#late,
      });
    this.#ask();
  }

  /** How many writes were answered before everybody had applied them. */
  get late(): number {
    return this.#late;
  }

  /** The directories that are there now. */
  present(): readonly string[] {
    const since = performance.now() - FORGOTTEN_AFTER_MS;
    const mayBeSilent = !this.#bus.connected || this.#bus.connectedSince > since; // B2
    if (!mayBeSilent) for (const [instance, heardAt] of this.#present) if (heardAt < since) this.#present.delete(instance);
    return [...this.#present.keys()];
  }

  /** `true` once every directory has applied `version` of the workspace; `false` after `timeoutMs` (B3). Never rejects. */
  passed(
    workspaceId: string,
    version: number,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<boolean> {
    if (this.#bus.connected && this.present().length === 0) return Promise.resolve(true);
    const request: BarrierRequest = { kind: 'applied', workspaceId, version };
    const reply = `${this.#inbox}.${++this.#count}`;
    return new Promise((resolve) => {
      const settle = (passed: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(reply);
        resolve(passed);
      };
      const answered = new Set<string>();
      const isOver = () => this.#bus.connected && this.present().every((instance) => answered.has(instance));
      const check = () => {
        if (isOver()) settle(true);
      };
      const timer = setTimeout(() => {
        if (isOver()) return settle(true);
        this.#late++;
        const missing = this.present().filter((instance) => !answered.has(instance));
        this.#log.warn({ workspaceId, version, timeoutMs, missing }, 'a write was answered before everybody had applied it');
        settle(false);
      }, timeoutMs);
      const waiting: Waiting = { request: JSON.stringify(request), reply, answered, check };
      this.#waiting.set(reply, waiting);
      this.#send(waiting);
    });
  }

  close(): void {
    for (const release of this.#release.splice(0)) release();
  }

  #heard(presence: Presence | undefined): void {
    switch (presence?.kind) {
      case 'here': {
        const isNew = !this.#present.has(presence.instance);
        this.#present.set(presence.instance, performance.now());
        if (isNew) for (const waiting of this.#waiting.values()) this.#send(waiting); // B1
        break;
      }
      case 'bye':
        this.#present.delete(presence.instance);
        for (const { check } of [...this.#waiting.values()]) check();
        break;
    }
  }

  #answered(subject: string, reply: { readonly instance: string } | undefined): void {
    const waiting = this.#waiting.get(subject);
    if (!waiting || !reply) return;
    waiting.answered.add(reply.instance);
    waiting.check();
  }

  #ask(): void {
    const who: BarrierRequest = { kind: 'who' };
    this.#publish(subjects.directoryBarrier, JSON.stringify(who));
    for (const waiting of this.#waiting.values()) this.#send(waiting);
  }

  #send({ request, reply }: Waiting): void {
    this.#publish(subjects.directoryBarrier, request, reply);
  }

  #publish(subject: string, body: string, reply?: string): void {
    try {
      this.#bus.nats.publish(subject, body, reply === undefined ? {} : { reply });
    } catch (error) {
      this.#log.warn({ err: error, subject }, 'a barrier could not be sent');
    }
  }
}
