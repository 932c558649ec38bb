/**
 * Tells restarted agents about their restart (spec 3 §1.16): best effort, in the background of whoever restarted them.
 *
 *   C1. What is told was so before the restart changed anything.
 *   C2. It is sent once the workspace is online; whoever is not within 30 s is not told.
 *   C3. One at a time for each workspace: a later restart takes the place of an earlier one that was not told yet.
 */
import type { WorkspaceId } from '@molecule/contracts';
import type { Barrier } from '@molecule/directory';
import type { ServiceClient } from '@molecule/http';
import { type Clock, type Log, sleep } from '@molecule/service';
import type { Fleet } from './fleet.ts';
import { type RestartSnapshot, restartContextMessage, restartContextText } from './restart-context.ts';

const ONLINE_WITHIN_MS = 30_000;
/** The proxy goes on by itself when nobody waits for the answer any more. */
const SEND_TIMEOUT_MS = 30_000;
const LOOK_AGAIN_MS = 500;
const NO_URL_YET = 'workspace has no URL';
const SENDER = 'system:restart-context';

export interface RestartContextParts {
  readonly fleet: Fleet;
  readonly barrier: Pick<Barrier, 'passed'>;
  readonly a2aProxy: () => Promise<Pick<ServiceClient, 'request'>>;
  readonly secretKeysOf: (workspaceId: WorkspaceId) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
}

export class RestartContexts {
  readonly #parts: RestartContextParts;
  readonly #waiting = new Map<WorkspaceId, AbortController>();
  readonly #sending = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: RestartContextParts) {
    this.#parts = parts;
  }

  /** C1. Never rejects: names that cannot be read are left out. */
  async snapshot(workspaceId: WorkspaceId): Promise<RestartSnapshot> {
    const { fleet, clock, secretKeysOf, log } = this.#parts;
    const lastBeatAt = fleet.vitals(workspaceId)?.lastBeatAt;
    const keys = await secretKeysOf(workspaceId).catch((error: unknown) => {
      log.warn({ err: error, workspaceId }, 'the names of secrets could not be read for a restart context');
      return [];
    });
    return { restartAt: clock.now(), lastBeatAt: lastBeatAt === undefined ? null : new Date(lastBeatAt), keys };
  }

  /** The restart has been committed. Returns at once. */
  follow(workspaceId: WorkspaceId, snapshot: RestartSnapshot): void {
    this.#waiting.get(workspaceId)?.abort(); // C3
    const waiting = new AbortController();
    this.#waiting.set(workspaceId, waiting);
    const sending = this.#tell(workspaceId, snapshot, AbortSignal.any([waiting.signal, this.#closing.signal]))
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted)
          this.#parts.log.warn({ err: error, workspaceId }, 'a restart context was not delivered');
      })
      .finally(() => {
        if (this.#waiting.get(workspaceId) === waiting) this.#waiting.delete(workspaceId);
        this.#sending.delete(sending);
      });
    this.#sending.add(sending);
  }

  /** Gives up what has not been told, and resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#sending);
  }

  async #tell(workspaceId: WorkspaceId, snapshot: RestartSnapshot, replaced: AbortSignal): Promise<void> {
    const { fleet, barrier, a2aProxy, newId, log } = this.#parts;
    const signal = AbortSignal.any([replaced, AbortSignal.timeout(ONLINE_WITHIN_MS)]);
    const request = {
      method: 'POST',
      path: `/workspaces/${workspaceId}/a2a`,
      body: restartContextMessage(restartContextText(snapshot), { id: newId(), messageId: newId() }),
      as: SENDER,
      timeoutMs: SEND_TIMEOUT_MS,
      signal: this.#closing.signal,
    } as const;
    while (await fleet.until(workspaceId, (status) => status === 'online', { signal })) {
      await barrier.passed(workspaceId, fleet.get(workspaceId)?.version ?? 0);
      const { status, text } = await (await a2aProxy()).request(request);
      // It came online by a beat, and where it listens is told in a moment.
      const tooEarly = status === 503 && text.includes(NO_URL_YET);
      if (!tooEarly) return log.info({ workspaceId, status }, 'a restarted agent was told of its restart');
      await sleep(LOOK_AGAIN_MS, signal);
    }
  }
}
