/** Holds what was delivered until somebody takes it, a batch at a time. */
import type { JsMsg } from '@nats-io/jetstream';

export class Intake {
  readonly #limit: number;
  #held: JsMsg[] = [];
  #ended = false;
  #wake: () => void = () => {};

  /** `limit`: the largest batch. How much may be held is bounded by what the consumer asks the server for. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get ended(): boolean {
    return this.#ended;
  }

  put(message: JsMsg): void {
    this.#held.push(message);
    this.#wake();
  }

  /** Nothing more is wanted; what is held is let go. */
  end(): void {
    this.#ended = true;
    this.#held = [];
    this.#wake();
  }

  /** What waits, without taking it. */
  peek(): readonly JsMsg[] {
    return this.#held;
  }

  /** The next batch, as soon as there is anything; empty after `waitMs`, or at the end. */
  async take(waitMs: number): Promise<JsMsg[]> {
    if (this.#held.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = () => {};
    }
    return this.#held.splice(0, this.#limit);
  }
}

/** Tells the server every `everyMs` that these are still being worked on; returns the way to stop. */
export function keepWorking(messages: () => readonly JsMsg[], everyMs: number): () => void {
  let timer: NodeJS.Timeout;
  const again = () => {
    timer = setTimeout(() => {
      for (const message of messages()) message.working();
      again();
    }, everyMs);
    timer.unref();
  };
  again();
  return () => clearTimeout(timer);
}
