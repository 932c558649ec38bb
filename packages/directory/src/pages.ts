/** Reads what the registry tells in pages, from the first page to the last. */
import { backoff, type Log, sleep } from '@molecule/service';

export interface ReadPagesOptions<Page> {
  /** What is read, for whoever waits for it. */
  readonly what: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly ask: (after: string | null, options: { readonly timeoutMs: number }) => Promise<Page>;
  readonly onPage: (page: Page) => void;
}

const PAGE_TIMEOUT_MS = 5_000;
const PROGRESS_EVERY_MS = 5_000;
const retryMs = backoff({ firstMs: 100, lastMs: 2_000 });

/** Resolves after the last page. Waits, and says so, while the registry does not answer; rejects only when aborted. */
export async function readPages<Page extends { readonly next: string | null }>({
  what,
  log,
  signal,
  ask,
  onPage,
}: ReadPagesOptions<Page>): Promise<void> {
  let after: string | null = null;
  let failures = 0;
  let read = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    signal.throwIfAborted();
    try {
      const page: Page = await ask(after, { timeoutMs: PAGE_TIMEOUT_MS });
      failures = 0;
      read++;
      onPage(page);
      if (page.next === null) return;
      after = page.next;
    } catch (error) {
      if (performance.now() - saidAt >= PROGRESS_EVERY_MS) {
        saidAt = performance.now();
        const reason = error instanceof Error ? error.message : 'unknown';
        log.warn({ reason, pages: read }, `waiting for the registry to tell ${what}`);
      }
      await sleep(retryMs(++failures), signal);
    }
  }
}
