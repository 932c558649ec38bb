/**
 * Clients that keep sending messages, each once, and write down what they were told. Whoever gets no answer does not know, and goes on
 * with another message, as clients do.
 *
 *   T1. It is spread over time, and no more is acknowledged than is allowed for now: so something is left for the next fault.
 *   T2. A message that is not answered at all within PATIENCE_MS is a finding, not an unknown.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@molecule/testkit/outside';
import type { Chance } from './chance.ts';
import { type Answer, Client } from './client.ts';
import type { History, Sent } from './history.ts';
import type { Member } from './team.ts';

export interface TrafficOptions {
  readonly history: History;
  readonly chance: Chance;
  /** Base URLs of the gateways; each message goes through one of them. */
  readonly gateways: readonly string[];
  readonly members: readonly Member[];
  readonly senders: number;
  /** Between a sender's messages, at most. */
  readonly thinkMs: number;
  /** A message is about to be sent to them. */
  readonly onSend?: (to: Member) => void;
  /** This is what the sender was told. */
  readonly onAnswer?: (sent: Sent, answer: Answer) => void;
}

/** Longer than any agent, lease, or restart takes. */
const PATIENCE_MS = 120_000;
const NO_ANSWER_PAUSE_MS = 100;

export class Traffic {
  readonly #options: TrafficOptions;
  readonly #clients: readonly Client[];
  readonly #abort = new AbortController();
  #sent = 0;
  #acknowledged = 0;
  #allowed = 0;
  #done: Promise<unknown> = Promise.resolve();

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#clients = options.gateways.map((url) => new Client(url));
  }

  /** Messages that were answered by an agent, or queued. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Goes on until so many have been acknowledged; `allow` says how many for now. */
  start(total: number): void {
    this.#done = Promise.all(Array.from({ length: this.#options.senders }, () => this.#sender(total)));
    this.#done.catch(() => this.#abort.abort()); // said by whoever waits
  }

  allow(upTo: number): void {
    this.#allowed = upTo;
  }

  /** Resolves when so many have been acknowledged. */
  async reached(count: number, timeoutMs = 180_000): Promise<void> {
    const there = waitFor(() => this.#acknowledged >= count || this.#abort.signal.aborted, {
      timeoutMs,
      what: `${count} messages to be acknowledged; so far ${this.#acknowledged} of ${this.#sent} sent`,
    });
    await Promise.race([there, this.#done.then(() => there)]);
    if (this.#abort.signal.aborted) await this.#done;
  }

  /** Resolves when all is sent, and each sender has heard or will hear nothing. */
  async over(): Promise<void> {
    await this.#done;
  }

  async #sender(total: number): Promise<void> {
    const { chance, thinkMs } = this.#options;
    while (this.#acknowledged < total && !this.#abort.signal.aborted) {
      if (this.#acknowledged < this.#allowed) {
        if (await this.#send()) this.#acknowledged++;
        else await delay(NO_ANSWER_PAUSE_MS);
      }
      await delay(chance.share() * thinkMs); // T1
    }
  }

  /** Whether it was acknowledged. */
  async #send(): Promise<boolean> {
    const { history, chance, members, onSend, onAnswer } = this.#options;
    const [to, from] = [chance.pick(members), chance.pick(members)];
    const client = chance.pick(this.#clients);
    const isCanvas = from === to || chance.share() < 0.5;
    onSend?.(to);
    const sent = history.begin(`m${this.#sent++}`, to.id);
    const late = AbortSignal.timeout(PATIENCE_MS);
    try {
      const answer = await client.send(to.id, sent.value, isCanvas ? {} : credentialsOf(from), late);
      onAnswer?.(sent, answer);
      return told(history, sent, answer);
    } catch (error) {
      if (late.aborted) throw new Error(`${sent.value} was not answered within ${PATIENCE_MS} ms`, { cause: error });
      return false; // no answer: it stays unknown
    }
  }
}

const credentialsOf = ({ id, agent }: Member) => ({ 'x-workspace-id': id, authorization: `Bearer ${agent.link?.token}` });

function told(history: History, sent: Sent, { status, body }: { readonly status: number; readonly body: unknown }): boolean {
  if (status !== 200 && status !== 202) {
    history.end(sent, 'refused', { status });
    return false;
  }
  const { queue_id: queueId = null } = (body ?? {}) as { queue_id?: string };
  history.end(sent, status === 202 ? 'queued' : 'answered', { status, queueId: status === 202 ? queueId : null });
  return true;
}
