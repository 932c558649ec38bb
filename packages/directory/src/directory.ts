/**
 * Every workspace as the registry's facts describe it, in memory, with the org tokens and sessions that open every door. Each
 * service keeps its own.
 *
 *   Y1. It follows the facts before it asks for the pages, so nothing falls between: what comes meanwhile is applied after,
 *       and a fact that an entry shows already changes nothing.
 *   Y2. A hole in the versions of a workspace is closed by asking the registry for that workspace; its facts wait in order.
 *       A hole in the stream of facts is closed by asking for all pages again.
 *   Y3. Listeners hear every fact after it was applied, in order for each workspace.
 *   Y4. A barrier is answered once the version it asks for was applied and told (I4). What was in FACTS when this directory
 *       said that it is there, is applied before `open` resolves.
 */
import { ask, type Bus, type FactPlace, type Following, followFacts } from '@molecule/bus';
import {
  type AccessEntry,
  type AnyRecordedFact,
  ask as asks,
  type DirectoryEntry,
  isWorkspaceId,
  PLATFORM,
  type ServiceName,
} from '@molecule/contracts';
import { backoff, type Clock, type Log, sleep } from '@molecule/service';
import { Access, type AccessRead, type Heard, isAccessFact } from './access.ts';
import { applyFact, isWorkspaceFact } from './apply-fact.ts';
import { canCommunicate } from './can-communicate.ts';
import { Entries, type TokenOwner } from './entries.ts';
import { readPages } from './pages.ts';
import { Proof } from './proof.ts';
import { Witness } from './witness.ts';

export interface DirectoryOptions {
  readonly service: ServiceName;
  /** Unique among all processes. */
  readonly instance: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called every two seconds while the directory says that it is there. */
  readonly tick?: () => void;
}

export type ChangeListener = (fact: AnyRecordedFact, entry: DirectoryEntry) => void;
export type FactListener = (fact: AnyRecordedFact, place: FactPlace) => void;
export type AccessListener = (entry: AccessEntry) => void;

/** Facts kept while the pages are read; beyond, they are dropped and the pages are read once more. */
const MAX_BUFFERED = 50_000;
/** Facts of one workspace kept while its hole is closed; beyond, they are applied as they are. */
const MAX_HELD = 10_000;
const retryMs = backoff({ firstMs: 100, lastMs: 2_000 });

export class Directory {
  readonly #bus: Bus;
  readonly #log: Log;
  readonly #entries = new Entries();
  readonly #access: Access;
  readonly #witness: Witness;
  readonly #stopping = new AbortController();
  readonly #onChange: ChangeListener[] = [];
  readonly #onFact: FactListener[] = [];
  readonly #onGap: (() => void)[] = [];
  readonly #onReread: (() => void)[] = [];
  readonly #onAccessEnded: AccessListener[] = [];
  /** Facts of workspaces whose hole is being closed. */
  readonly #held = new Map<string, Heard[]>();
  readonly #resolving = new Map<string, Promise<DirectoryEntry | undefined>>();
  #following: Following | undefined;
  /** Facts that came while the first pages are read. */
  #buffer: Heard[] | undefined = [];
  #overflowed = false;
  #reloading: Promise<void> | undefined;
  /** Facts were missed since the pages began to be read. */
  #again = false;
  #proof: Proof | undefined;
  #ready = false;

  private constructor(bus: Bus, { service, instance, log, clock, tick }: DirectoryOptions) {
    this.#bus = bus;
    this.#log = log;
    this.#witness = new Witness(bus, {
      service,
      instance,
      log,
      clock,
      tick: () => {
        this.#access.forgetExpired();
        tick?.();
      },
      versionOf: (id) => {
        if (id === PLATFORM) return this.#access.version;
        return this.#held.has(id) ? 0 : (this.#entries.get(id)?.version ?? 0);
      },
    });
    this.#access = new Access({
      read: () => this.#readAccess(),
      now: () => clock.now(),
      onEnded: (entry) => {
        for (const listener of this.#onAccessEnded) this.#guard(() => listener(entry));
      },
      onFact: (heard) => this.#tell(heard),
      onApplied: () => this.#witness.applied(PLATFORM),
    });
  }

  /** Resolves when the directory is complete; waits for NATS and for the registry as long as it takes. Rejects only when aborted. */
  static async open(bus: Bus, options: DirectoryOptions): Promise<Directory> {
    const directory = new Directory(bus, options);
    const { signal } = options;
    signal.throwIfAborted();
    const stop = () => void directory.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await directory.#start();
    } catch (error) {
      await directory.stop();
      throw error;
    }
    signal.throwIfAborted();
    return directory;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Whether facts arrive: if not for a while, a token may have been revoked unheard, and barriers soon stop waiting for us. */
  get current(): boolean {
    return this.#ready && this.#proof?.holds === true;
  }

  /** How old what it shows may be at most, in seconds: everything up to then is in it. Endless before it was first complete. */
  get lagSeconds(): number {
    return (this.#proof?.ageMs ?? Number.POSITIVE_INFINITY) / 1000;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How far the facts were heard. What stands before has been told to listeners, waits for a hole to be closed, or was missed. */
  get place(): FactPlace | undefined {
    return this.#following && { epoch: this.#following.epoch, sequence: this.#following.sequence };
  }

  get(workspaceId: string): DirectoryEntry | undefined {
    return this.#entries.get(workspaceId);
  }

  /** Removed ones too. */
  all(): Iterable<DirectoryEntry> {
    return this.#entries.all();
  }

  /** Direct children, removed ones too. */
  childrenOf(workspaceId: string): readonly string[] {
    return this.#entries.childrenOf(workspaceId);
  }

  /** Spec 1 §5. */
  canCommunicate(caller: string, target: string): boolean {
    return canCommunicate((workspaceId) => this.#entries.get(workspaceId), caller, target);
  }

  /** Whose live token has this SHA-256 (hex). */
  workspaceOfToken(hash: string): TokenOwner | undefined {
    return this.#entries.ownerOf(hash);
  }

  liveTokens(workspaceId: string): number {
    const entry = this.#entries.get(workspaceId);
    return !entry || entry.status === 'removed' ? 0 : entry.tokens.length;
  }

  anyLiveToken(): boolean {
    return this.#entries.anyToken();
  }

  /** The live org token or session whose SHA-256 (hex) this is. A session whose time is over, by our clock, is none. */
  accessOf(hash: string): AccessEntry | undefined {
    return this.#access.of(hash);
  }

  /** Whether the org token or session of this id still opens doors. */
  hasAccess(id: string): boolean {
    return this.#access.has(id);
  }

  /**
   * The entry in memory, else what the registry says, asked once. That there is none is not remembered.
   * Rejects with `AskTimeout` or `AskNoResponder` when the registry does not answer.
   */
  async resolve(workspaceId: string): Promise<DirectoryEntry | undefined> {
    const known = this.#entries.get(workspaceId);
    if (known || !isWorkspaceId(workspaceId)) return known;
    const running = this.#resolving.get(workspaceId);
    if (running) return running;
    const asking = this.#ask(workspaceId).finally(() => this.#resolving.delete(workspaceId));
    this.#resolving.set(workspaceId, asking);
    return asking;
  }

  /** Called after each fact of the registry was applied, with the entry as it is then. */
  onChange(listener: ChangeListener): void {
    this.#onChange.push(listener);
  }

  /** Called for each fact of any service, after it was applied (Y3). */
  onFact(listener: FactListener): void {
    this.#onFact.push(listener);
  }

  /** Called when facts were missed that no listener will hear. The directory itself is complete again soon after. */
  onGap(listener: () => void): void {
    this.#onGap.push(listener);
  }

  /** Called when facts had been missed, and everything was read again. */
  onReread(listener: () => void): void {
    this.#onReread.push(listener);
  }

  /** Called for each org token and session that opens nothing any more: revoked, closed or over, heard of or missed (Y4 holds). */
  onAccessEnded(listener: AccessListener): void {
    this.#onAccessEnded.push(listener);
  }

  healthy(): { ok: boolean; detail: string } {
    if (!this.#ready) return { ok: false, detail: 'reading the directory' };
    if (!this.#bus.connected || this.#following?.alive !== true || !this.current)
      return { ok: false, detail: 'facts do not arrive' };
    if (this.#reloading) return { ok: false, detail: 'facts were missed; reading the directory again' };
    return { ok: true, detail: `${this.#entries.size} workspaces` };
  }

  /** Says bye, so that no barrier waits for it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#ready = false;
    await this.#witness.stop();
    await this.#following?.stop();
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopping;
    this.#following = await followFacts(this.#bus, {
      log: this.#log,
      signal,
      onFact: (fact, place) => this.#hear({ fact, place }),
      onGap: () => this.#gap(),
    });
    do {
      this.#overflowed = false;
      await this.#readAll();
    } while (this.#overflowed);
    const buffered = this.#buffer ?? [];
    this.#buffer = undefined;
    for (const heard of buffered) this.#take(heard);
    await this.#witness.start();
    this.#proof = new Proof(this.#bus, {
      log: this.#log,
      signal,
      following: this.#following,
      missing: () => this.#reloading !== undefined || this.#access.incomplete,
    });
    await this.#proof.renew(); // Y4: whoever was answered before we could be waited for, is in FACTS by now
    signal.throwIfAborted();
    this.#ready = true;
    void this.#proof.keep();
    this.#log.info({ workspaces: this.#entries.size }, 'the directory is complete');
  }

  #hear(heard: Heard): void {
    if (!this.#buffer) this.#take(heard);
    else if (this.#buffer.length < MAX_BUFFERED) this.#buffer.push(heard);
    else {
      this.#buffer = [];
      this.#overflowed = true;
    }
  }

  #gap(): void {
    if (this.#buffer) {
      this.#overflowed = true;
      return;
    }
    for (const listener of this.#onGap) this.#guard(listener);
    this.#again = true;
    this.#reloading ??= this.#reload();
  }

  /** Y2. A page that was read before the last hole may lack what fell into it. */
  async #reload(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#readAll();
      }
      this.#reloading = undefined;
      for (const listener of this.#onReread) this.#guard(listener);
    } catch (error) {
      this.#reloading = undefined;
      if (!this.#stopping.signal.aborted) this.#log.error({ err: error }, 'the directory could not be read again');
    }
  }

  #take(heard: Heard): void {
    const { fact } = heard;
    const held = this.#held.get(fact.workspaceId);
    if (held) {
      held.push(heard);
      if (held.length >= MAX_HELD) this.#release(fact.workspaceId);
      return;
    }
    if (isAccessFact(fact)) {
      this.#access.hear({ fact, place: heard.place });
      return;
    }
    if (!isWorkspaceFact(fact)) {
      this.#tell(heard);
      return;
    }
    const version = this.#entries.get(fact.workspaceId)?.version ?? 0;
    if (fact.version > version + 1) {
      this.#held.set(fact.workspaceId, [heard]);
      void this.#closeHole(fact.workspaceId);
      return;
    }
    this.#apply(heard);
  }

  #apply(heard: Heard): void {
    const { fact } = heard;
    if (!isWorkspaceFact(fact)) {
      this.#tell(heard);
      return;
    }
    const before = this.#entries.get(fact.workspaceId);
    const after = applyFact(before, fact);
    if (after !== before) this.#entries.put(after);
    for (const listener of this.#onChange) this.#guard(() => listener(fact, after));
    this.#tell(heard);
    this.#witness.applied(fact.workspaceId);
  }

  #tell({ fact, place }: Heard): void {
    for (const listener of this.#onFact) this.#guard(() => listener(fact, place));
  }

  #guard(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#log.error({ err: error }, 'a listener to facts failed');
    }
  }

  /** Y2. */
  async #closeHole(workspaceId: string): Promise<void> {
    const { signal } = this.#stopping;
    this.#log.warn({ workspaceId }, 'facts of a workspace are missing; asking the registry');
    for (let attempt = 1; !signal.aborted && this.#held.has(workspaceId); attempt++) {
      try {
        await this.#ask(workspaceId);
        break;
      } catch (error) {
        if (attempt % 10 === 3) this.#log.warn({ err: error, workspaceId, attempt }, 'the registry does not say; asking again');
        await sleep(retryMs(attempt), signal);
      }
    }
    this.#release(workspaceId);
  }

  #release(workspaceId: string): void {
    const held = this.#held.get(workspaceId);
    this.#held.delete(workspaceId);
    for (const heard of held ?? []) this.#apply(heard);
    this.#witness.applied(workspaceId);
  }

  async #ask(workspaceId: string): Promise<DirectoryEntry | undefined> {
    if (!isWorkspaceId(workspaceId)) return undefined;
    const { entry } = await ask(this.#bus, asks.registry.resolve, { workspaceId });
    if (entry) this.#merge(entry);
    return this.#entries.get(workspaceId);
  }

  async #readAll(): Promise<void> {
    await Promise.all([this.#readWorkspaces(), this.#access.refresh()]);
  }

  #readWorkspaces(): Promise<void> {
    return readPages({
      what: 'the directory',
      log: this.#log,
      signal: this.#stopping.signal,
      ask: (after, options) => ask(this.#bus, asks.registry.directory, { after }, options),
      onPage: ({ entries }) => {
        for (const entry of entries) this.#merge(entry);
      },
    });
  }

  async #readAccess(): Promise<AccessRead> {
    let version = Number.POSITIVE_INFINITY;
    const entries: AccessEntry[] = [];
    await readPages({
      what: 'who may open every door',
      log: this.#log,
      signal: this.#stopping.signal,
      ask: (after, options) => ask(this.#bus, asks.registry.access, { after }, options),
      onPage: (page) => {
        version = Math.min(version, page.version);
        entries.push(...page.entries);
      },
    });
    return { version, entries };
  }

  /** By version: what is newer stays (Y1). */
  #merge(entry: DirectoryEntry): void {
    const known = this.#entries.get(entry.workspaceId);
    if (known && known.version >= entry.version) return;
    this.#entries.put(entry);
    this.#witness.applied(entry.workspaceId);
  }
}
