/** Reads the registry's directory from its first page to its last. */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, type DirectoryEntry } from '@molecule/contracts';
import { backoff, type Log, sleep } from '@molecule/service';

export interface ReadPagesOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onEntry: (entry: DirectoryEntry) => void;
}

interface Page {
  readonly entries: readonly DirectoryEntry[];
  readonly next: string | null;
}

const PAGE_TIMEOUT_MS = 5_000;
const PROGRESS_EVERY_MS = 5_000;
const retryMs = backoff({ firstMs: 100, lastMs: 2_000 });

/** Resolves after the last page. Waits, and says so, while the registry does not answer; rejects only when aborted. */
export async function readPages(bus: Bus, { log, signal, onEntry }: ReadPagesOptions): Promise<void> {
  let after: string | null = null;
  let failures = 0;
  let read = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    signal.throwIfAborted();
    try {
      const page: Page = await ask(bus, asks.registry.directory, { after }, { timeoutMs: PAGE_TIMEOUT_MS });
      failures = 0;
      read += page.entries.length;
      for (const entry of page.entries) onEntry(entry);
      if (page.next === null) return;
      after = page.next;
    } catch (error) {
      if (performance.now() - saidAt >= PROGRESS_EVERY_MS) {
        saidAt = performance.now();
        const reason = error instanceof Error ? error.message : 'unknown';
        log.warn({ reason, read }, 'waiting for the registry to tell the directory');
      }
      await sleep(retryMs(++failures), signal);
    }
  }
}
