/**
 * Has sleeping workspaces woken (spec 1 §2.4): whoever sent the message is told to come again, and does not wait for it.
 *
 *   V1. However many messages come, one question is under way for a workspace; the registry starts it once, whoever asks.
 *   V2. A question that fails is asked again with the next message.
 */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, type WorkspaceId } from '@molecule/contracts';
import type { Log } from '@molecule/service';

const WAKE_TIMEOUT_MS = 5_000;

export class Waker {
  readonly #bus: Bus;
  readonly #newId: () => string;
  readonly #log: Log;
  readonly #asking = new Set<WorkspaceId>();

  constructor({ bus, newId, log }: { readonly bus: Bus; readonly newId: () => string; readonly log: Log }) {
    this.#bus = bus;
    this.#newId = newId;
    this.#log = log;
  }

  /** Returns at once. */
  readonly wake = (workspaceId: WorkspaceId): void => {
    if (this.#asking.has(workspaceId)) return; // V1
    this.#asking.add(workspaceId);
    const question = { workspaceId, commandId: this.#newId() };
    ask(this.#bus, asks.registry.wake, question, { timeoutMs: WAKE_TIMEOUT_MS })
      .then(({ waking }) => {
        if (!waking) this.#log.info({ workspaceId }, 'a message came for a workspace that cannot be woken now');
      })
      .catch((error: unknown) => this.#log.warn({ err: error, workspaceId }, 'a workspace could not be woken'))
      .finally(() => this.#asking.delete(workspaceId));
  };
}
