/**
 * Calls that must not be made twice: a service of ours gives the message id, and asks again after a crash (I7).
 *
 *   O1. `a2a.dispatched` is in the log before anything is sent; the log takes it once per message id.
 *   O2. Who asks again is told what became of the first: ended, still in flight, or interrupted.
 */
import type { Ledger } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { begin, type Envelope } from '../message/decisions.ts';
import { calls, type Message } from '../message/message.ts';
import type { Parts } from '../parts.ts';
import { type Answer, answers } from './answer.ts';

export class Once {
  readonly #ledger: Ledger<Tables>;
  readonly #worker: string;
  readonly #newId: () => string;
  readonly #isLive: (worker: string) => Promise<boolean>;
  readonly #mine = new Set<string>();
  /** Of these we do not know whether their beginning was stored; what is sure is that nothing was sent. */
  readonly #unsure = new Set<string>();

  constructor({
    ledger,
    worker,
    newId,
    isLive,
  }: Pick<Parts, 'ledger' | 'worker' | 'newId'> & { readonly isLive: (worker: string) => Promise<boolean> }) {
    this.#ledger = ledger;
    this.#worker = worker;
    this.#newId = newId;
    this.#isLive = isLive;
  }

  /** `null`: go ahead, and say `ended` afterwards. @throws what `isUnavailable` recognises */
  async begin(envelope: Envelope): Promise<Answer | null> {
    const { messageId } = envelope;
    if (this.#mine.has(messageId)) return answers.inProgress;
    this.#mine.add(messageId);
    let goAhead = false;
    try {
      goAhead = await this.#store(envelope);
      if (goAhead) return null;
      const { state } = await this.#ledger.load(calls, messageId);
      goAhead = this.#unsure.delete(messageId) && state.status === 'open' && state.worker === this.#worker;
      return goAhead ? null : await this.#became(envelope, state);
    } finally {
      if (!goAhead) this.#mine.delete(messageId);
    }
  }

  async #store(envelope: Envelope): Promise<boolean> {
    const { messageId } = envelope;
    try {
      const command = { id: messageId, commandId: `begin-${this.#newId()}` };
      const { facts } = await this.#ledger.transact(calls, command, begin(envelope, this.#worker));
      return facts.length > 0;
    } catch (error) {
      this.#unsure.add(messageId);
      throw error;
    }
  }

  ended(messageId: string): void {
    this.#mine.delete(messageId);
  }

  async #became({ messageId, workspaceId }: Envelope, state: Message): Promise<Answer> {
    switch (state.status) {
      case 'absent':
        return answers.inProgress;
      case 'open':
        return (await this.#isLive(state.worker)) ? answers.inProgress : answers.interrupted;
      case 'waiting':
      case 'claimed':
        return answers.queued(workspaceId, messageId, 1);
      case 'ended':
        return answers.recorded(state.end.httpStatus, state.end.error);
    }
  }
}
