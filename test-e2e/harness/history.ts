/** What clients did and what agents saw, written down while it happens: the evidence that the checker judges (limits.md §6.1, §8). */

/** How an operation ended for the client that did it. `unknown`: no answer came, so it may or may not have happened. */
export type Outcome = 'answered' | 'queued' | 'refused' | 'unknown';

export interface Sent {
  /** Unique in a run: the text of the message, by which it is known everywhere. */
  readonly value: string;
  readonly target: string;
  /** When it began, in the order of all beginnings and ends. */
  readonly began: number;
  /** When its end was known, in the same order; `null` until then. */
  ended: number | null;
  outcome: Outcome;
  status: number | null;
  /** The id that the platform gave it, when it was queued. */
  queueId: string | null;
}

export interface Seen {
  readonly value: string;
  readonly target: string;
  /** The how-manieth message this agent saw. */
  readonly order: number;
}

export class History {
  readonly sent: Sent[] = [];
  readonly seen: Seen[] = [];
  readonly #orders = new Map<string, number>();
  #now = 0;

  /** An operation begins: unknown until its end is written down. */
  begin(value: string, target: string): Sent {
    const sent: Sent = { value, target, began: ++this.#now, ended: null, outcome: 'unknown', status: null, queueId: null };
    this.sent.push(sent);
    return sent;
  }

  /** The client was told this. */
  end(
    sent: Sent,
    outcome: Exclude<Outcome, 'unknown'>,
    { status = null, queueId = null }: Partial<Pick<Sent, 'status' | 'queueId'>> = {},
  ): void {
    Object.assign(sent, { ended: ++this.#now, outcome, status, queueId });
  }

  see(value: string, target: string): void {
    const order = (this.#orders.get(target) ?? 0) + 1;
    this.#orders.set(target, order);
    this.seen.push({ value, target, order });
  }
}
