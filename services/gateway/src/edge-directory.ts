/**
 * The gateway's directory, as far as it is there. The edge listens before the registry has told its workspaces, and stays up while
 * it cannot; until then, while facts are known to be missing, and once it is no longer sure that facts arrive, nothing that a
 * token decides is decided (I9). It is sure of that again by itself.
 */
import type { FactPlace } from '@molecule/bus';
import type { AccessEntry, DirectoryEntry } from '@molecule/contracts';
import type { Directory, FactListener, TokenOwner } from '@molecule/directory';
import type { TokenBook } from './principal.ts';

export class EdgeDirectory implements TokenBook {
  #directory: Directory | undefined;
  #gap = false;
  #wasAttached = false;
  readonly #opened = Promise.withResolvers<void>();
  readonly #listeners: FactListener[] = [];
  readonly #onGap: (() => void)[] = [];
  readonly #onReread: (() => void)[] = [];
  readonly #onAccessEnded: ((entry: AccessEntry) => void)[] = [];

  /** Resolves when the first directory is there. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Takes over a directory that is complete. */
  attach(directory: Directory): void {
    for (const listener of this.#listeners) directory.onFact(listener);
    directory.onGap(() => {
      this.#gap = true;
      for (const listener of this.#onGap) listener();
    });
    for (const listener of this.#onReread) directory.onReread(listener);
    directory.onAccessEnded((entry) => {
      for (const listener of this.#onAccessEnded) listener(entry);
    });
    this.#directory = directory;
    this.#gap = false;
    if (this.#wasAttached) for (const listener of this.#onGap) listener();
    this.#wasAttached = true;
    for (const listener of this.#onReread) listener();
    this.#opened.resolve();
  }

  detach(): void {
    this.#directory = undefined;
  }

  /** Called for each fact, after it was applied. To be said before the directory is attached. */
  onFact(listener: FactListener): void {
    this.#listeners.push(listener);
  }

  /** Called when facts were missed that no listener hears, also between two directories; before those that follow. */
  onGap(listener: () => void): void {
    this.#onGap.push(listener);
  }

  /** Called when facts were missed and everything was read again, also by a new directory. To be said before one is attached. */
  onReread(listener: () => void): void {
    this.#onReread.push(listener);
  }

  /** Called when an org token or a session opens nothing any more, for whatever reason. To be said before a directory is attached. */
  onAccessEnded(listener: (entry: AccessEntry) => void): void {
    this.#onAccessEnded.push(listener);
  }

  get ready(): boolean {
    if (this.#directory === undefined) return false;
    if (this.#gap && this.#directory.healthy().ok) this.#gap = false;
    return this.#directory.current && !this.#gap;
  }

  get lagSeconds(): number {
    return this.#directory?.lagSeconds ?? Number.POSITIVE_INFINITY;
  }

  healthy(): { ok: boolean; detail: string } {
    return this.#directory?.healthy() ?? { ok: false, detail: 'waiting for the registry to tell its workspaces' };
  }

  get(workspaceId: string): DirectoryEntry | undefined {
    return this.#directory?.get(workspaceId);
  }

  /** Asks the registry for one that is not known here. Rejects when nobody can say. */
  async resolve(workspaceId: string): Promise<DirectoryEntry | undefined> {
    if (this.#directory === undefined) throw new Error('the directory is not there yet');
    return this.#directory.resolve(workspaceId);
  }

  /** How far facts were heard. */
  get place(): FactPlace | undefined {
    return this.#directory?.place;
  }

  versionOf(workspaceId: string): number {
    return this.#directory?.get(workspaceId)?.version ?? 0;
  }

  canCommunicate(caller: string, target: string): boolean {
    return this.#directory?.canCommunicate(caller, target) ?? false;
  }

  workspaceOfToken(hash: string): TokenOwner | undefined {
    return this.#directory?.workspaceOfToken(hash);
  }

  accessOf(hash: string): AccessEntry | undefined {
    return this.#directory?.accessOf(hash);
  }

  hasAccess(id: string): boolean {
    return this.#directory?.hasAccess(id) ?? false;
  }

  liveTokens(workspaceId: string): number {
    return this.#directory?.liveTokens(workspaceId) ?? 0;
  }

  anyLiveToken(): boolean {
    return this.#directory?.anyLiveToken() ?? true;
  }
}
