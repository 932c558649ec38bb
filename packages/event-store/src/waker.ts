/** Waits until woken, until a time is over, or until told to stop. A wake while nobody waits is kept for whoever waits next. */
import { sleep } from '@molecule/service';

export class Waker {
  #woken = false;
  #interrupt: (() => void) | undefined;

  wake(): void {
    this.#woken = true;
    this.#interrupt?.();
  }

  /** One waiter at a time. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      const waiting = new AbortController();
      const interrupt = () => waiting.abort();
      this.#interrupt = interrupt;
      signal.addEventListener('abort', interrupt, { once: true });
      await sleep(ms, waiting.signal);
      signal.removeEventListener('abort', interrupt);
      this.#interrupt = undefined;
    }
    this.#woken = false;
  }
}
