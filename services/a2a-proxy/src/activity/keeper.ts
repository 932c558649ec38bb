/**
 * Keeps what agents say of themselves, and tells of it: whoever is answered finds the row (I4).
 *
 *   S1. While the database is away the row waits with the records of the calls (R3): nothing is lost as long as there is room.
 *   S2. What cannot be kept is not told as kept, and fails nobody (spec 2 §8.10).
 */
import type { WorkspaceId } from '@molecule/contracts';
import type { Parts } from '../parts.ts';
import { type ActivityRow, activityLogged } from './row.ts';
import { type AttachedFile, agentMessage, notifyRow } from './said.ts';
import { insertActivity } from './store.ts';

export interface KeeperParts extends Pick<Parts, 'ledger' | 'recorder' | 'say' | 'instants' | 'newId' | 'log'> {
  readonly isUnavailable: (error: unknown) => boolean;
}

export class Keeper {
  readonly #parts: KeeperParts;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** The next row's id and place. */
  where(workspaceId: string): { id: string; workspaceId: string; atUs: number } {
    return { id: this.#parts.newId(), workspaceId, atUs: this.#parts.instants.nowUs() };
  }

  /** Keeps a row and tells of it (`ACTIVITY_LOGGED`). Never rejects. */
  async log(row: ActivityRow): Promise<void> {
    if ((await this.#insert(row)) === 'kept') this.#parts.say(activityLogged(row));
  }

  /** A message of the agent for the user's chat: kept, then shown, so that a reload shows no less. Never rejects. */
  async notify(
    { workspaceId, name }: { readonly workspaceId: WorkspaceId; readonly name: string },
    message: string,
    files: readonly AttachedFile[] = [],
  ): Promise<void> {
    const where = this.where(workspaceId);
    await this.#insert({ ...notifyRow(where, message, files), quiet: true });
    this.#parts.say(agentMessage(where, { name, message, files }));
  }

  async #insert(row: ActivityRow): Promise<'kept' | 'waits' | 'lost'> {
    const { ledger, recorder, isUnavailable, log } = this.#parts;
    try {
      await insertActivity(ledger.pool, [row]);
      return 'kept';
    } catch (error) {
      if (isUnavailable(error) && !recorder.isFull) {
        recorder.row(row); // S1
        return 'waits';
      }
      log.warn({ err: error, workspaceId: row.workspace_id, type: row.activity_type }, 'activity could not be kept');
      return 'lost'; // S2
    }
  }
}
