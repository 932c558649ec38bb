/**
 * When each workspace was last heard, oldest first, so that asking who has been silent costs only those who have (limits S2).
 *
 *   L1. The order of the map is the order of `at`: what is heard moves to the end.
 *   L2. Who was asked about and found silent is forgotten until heard again: a silence is reported once.
 */
export class LastHeard {
  readonly #at = new Map<string, number>();
  #latest = Number.NEGATIVE_INFINITY;

  /** `at`: milliseconds of one clock, whichever it is. Something older than what is known says nothing new: `false`. */
  heard(workspaceId: string, at: number): boolean {
    const known = this.#at.get(workspaceId);
    if (known !== undefined && known >= at) return false;
    // A clock that stepped back must not break the order: then it counts as heard with the latest (never earlier than it was).
    this.#latest = Math.max(this.#latest, at);
    this.#at.delete(workspaceId);
    this.#at.set(workspaceId, this.#latest);
    return true;
  }

  /** Everything known from before, in one go. */
  seed(entries: Iterable<readonly [workspaceId: string, at: number]>): void {
    const known = new Map(this.#at);
    for (const [id, at] of entries) known.set(id, Math.max(at, known.get(id) ?? at));
    this.#at.clear();
    for (const [id, at] of [...known].sort(([, a], [, b]) => a - b)) this.#at.set(id, at);
    this.#latest = Math.max(this.#latest, ...[...this.#at.values()].slice(-1));
  }

  forget(workspaceId: string): void {
    this.#at.delete(workspaceId);
  }

  /** Who has not been heard since `before`; each is forgotten by being answered here. */
  takeSilent(before: number): { readonly workspaceId: string; readonly at: number }[] {
    const silent = [];
    for (const [workspaceId, at] of this.#at) {
      if (at >= before) break;
      silent.push({ workspaceId, at });
    }
    for (const { workspaceId } of silent) this.#at.delete(workspaceId);
    return silent;
  }

  get size(): number {
    return this.#at.size;
  }
}
