/**
 * For which workspaces messages wait, in memory: so that the beats of all others cost nothing.
 *
 *   W1. A workspace that is not in here has no waiting messages that this process knows of; one that is may have none.
 *   W2. It is filled from the table at the start and again now and then, from what is queued here, and from what others say.
 */
export interface Box {
  readonly workspaceId: string;
  /** Somebody of this process is taking messages out. */
  draining: boolean;
  /** Came up while draining: look once more before stopping. */
  again: Prompt | null;
  /** Since it was last looked into something could not be delivered: the next prompt must come first. */
  held: boolean;
  /** A beat has reported room since the last message was taken out. */
  beaten: boolean;
  /** How often in a row nothing could be delivered. */
  setbacks: number;
  timer: NodeJS.Timeout | undefined;
}

/** Why it is time to look. `unprompted`: nobody said that there is room. */
export type Prompt = 'beat' | 'answered' | 'registered' | 'unprompted';

export class Waiting {
  readonly #boxes = new Map<string, Box>();

  get(workspaceId: string): Box | undefined {
    return this.#boxes.get(workspaceId);
  }

  add(workspaceId: string): Box {
    let box = this.#boxes.get(workspaceId);
    if (!box) {
      box = { workspaceId, draining: false, again: null, held: false, beaten: false, setbacks: 0, timer: undefined };
      this.#boxes.set(workspaceId, box);
    }
    return box;
  }

  remove(workspaceId: string): void {
    clearTimeout(this.#boxes.get(workspaceId)?.timer);
    this.#boxes.delete(workspaceId);
  }

  clear(): void {
    for (const { timer } of this.#boxes.values()) clearTimeout(timer);
    this.#boxes.clear();
  }

  get size(): number {
    return this.#boxes.size;
  }

  workspaces(): string[] {
    return [...this.#boxes.keys()];
  }
}
