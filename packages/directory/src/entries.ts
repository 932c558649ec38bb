/** The entries of the directory and the ways to find them: by id, by parent, by token. All three always agree. */
import type { DirectoryEntry, TokenId, WorkspaceId } from '@molecule/contracts';

const NOBODY: readonly string[] = Object.freeze([]);

export interface TokenOwner {
  readonly workspaceId: WorkspaceId;
  readonly tokenId: TokenId;
}

export class Entries {
  readonly #byId = new Map<string, DirectoryEntry>();
  readonly #children = new Map<string, Set<string>>();
  readonly #tokens = new Map<string, TokenOwner>();

  get size(): number {
    return this.#byId.size;
  }

  get(workspaceId: string): DirectoryEntry | undefined {
    return this.#byId.get(workspaceId);
  }

  all(): Iterable<DirectoryEntry> {
    return this.#byId.values();
  }

  /** Removed ones too. */
  childrenOf(workspaceId: string): readonly string[] {
    const children = this.#children.get(workspaceId);
    return children ? [...children] : NOBODY;
  }

  ownerOf(hash: string): TokenOwner | undefined {
    return this.#tokens.get(hash);
  }

  anyToken(): boolean {
    return this.#tokens.size > 0;
  }

  /** Replaces what is there. The tokens of a removed workspace are dead, whatever the entry says (I5). */
  put(entry: DirectoryEntry): void {
    const { workspaceId } = entry;
    const before = this.#byId.get(workspaceId);
    this.#byId.set(workspaceId, entry);
    if (!before || before.parentId !== entry.parentId) this.#adopt(workspaceId, before?.parentId ?? null, entry.parentId);
    if (!before || before.tokens !== entry.tokens || before.status !== entry.status) this.#exchangeTokens(before, entry);
  }

  #adopt(workspaceId: string, from: string | null, to: string | null): void {
    if (from !== null) {
      const siblings = this.#children.get(from);
      siblings?.delete(workspaceId);
      if (siblings?.size === 0) this.#children.delete(from);
    }
    if (to === null) return;
    const siblings = this.#children.get(to);
    if (siblings) siblings.add(workspaceId);
    else this.#children.set(to, new Set([workspaceId]));
  }

  #exchangeTokens(before: DirectoryEntry | undefined, after: DirectoryEntry): void {
    for (const { hash } of before?.tokens ?? [])
      if (this.#tokens.get(hash)?.workspaceId === after.workspaceId) this.#tokens.delete(hash);
    if (after.status === 'removed') return;
    for (const { hash, tokenId } of after.tokens) this.#tokens.set(hash, { workspaceId: after.workspaceId, tokenId });
  }
}
