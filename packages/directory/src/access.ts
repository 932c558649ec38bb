/**
 * The org tokens and sessions that open doors now: what the registry answered, and what the stream `access.platform` told since.
 *
 *   K1. Facts are applied in the order of their versions, each once. A hole is closed by reading everything again.
 *   K2. What was read shows the lowest version that its pages showed; what was heard since the reading began is applied after it.
 *   K3. Whoever listens is told of every fact after it was applied, and of every entry that opens nothing any more, also when the
 *       fact that ended it was never heard; only then does a version count as applied.
 */
import type { FactPlace } from '@molecule/bus';
import type { AccessEntry, AnyRecordedFact, RecordedAccessFact } from '@molecule/contracts';
import { accessFacts } from '@molecule/contracts';

export interface AccessRead {
  readonly version: number;
  readonly entries: readonly AccessEntry[];
}

/** A fact, and where it stands among all. */
export interface Heard<Fact extends AnyRecordedFact = AnyRecordedFact> {
  readonly fact: Fact;
  readonly place: FactPlace;
}

export interface AccessOptions {
  /** Everything that opens doors now. Rejects only when nobody needs it any more. */
  readonly read: () => Promise<AccessRead>;
  readonly now: () => Date;
  readonly onEnded: (entry: AccessEntry) => void;
  readonly onFact: (heard: Heard<RecordedAccessFact>) => void;
  /** The version is higher than it was. */
  readonly onApplied: () => void;
}

/** Facts kept while everything is read; beyond, it is read once more. */
const MAX_KEPT = 10_000;

export const isAccessFact = (fact: AnyRecordedFact): fact is RecordedAccessFact => Object.hasOwn(accessFacts, fact.type);

export class Access {
  readonly #options: AccessOptions;
  #version = 0;
  #byHash: ReadonlyMap<string, AccessEntry> = new Map();
  /** What was heard since the reading began; `undefined` while nothing is read. */
  #kept: RecordedAccessFact[] | undefined;
  /** Facts behind a hole. */
  #untold: Heard<RecordedAccessFact>[] = [];
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** Of the stream; 0 while nothing was told yet. */
  get version(): number {
    return this.#version;
  }

  /** Whether something may be missing that is being read. */
  get incomplete(): boolean {
    return this.#reading !== undefined;
  }

  /** What a token or a cookie with this SHA-256 (hex) opens doors as. */
  of(hash: string): AccessEntry | undefined {
    const entry = this.#byHash.get(hash);
    return entry === undefined || this.#isOver(entry) ? undefined : entry;
  }

  /** Whether one of this id opens doors. */
  has(id: string): boolean {
    for (const entry of this.#byHash.values()) if (entry.id === id) return !this.#isOver(entry);
    return false;
  }

  hear(heard: Heard<RecordedAccessFact>): void {
    const { fact } = heard;
    this.#keep(fact);
    this.#untold.push(heard);
    if (this.#untold.length >= MAX_KEPT) this.#tell(Number.POSITIVE_INFINITY);
    const next = this.#version + 1;
    if (fact.version === next) this.#become(next, after(this.#byHash, fact));
    else if (fact.version < next) this.#tell(this.#version);
    // While everything is read, the reading itself finds out whether something is still missing.
    else if (this.#reading === undefined) void this.refresh().catch(() => {});
  }

  /** Reads everything; asked again meanwhile, it reads once more. Rejects only as `read` does. */
  refresh(): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#readWhileAsked().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Lets go of sessions whose time is over. */
  forgetExpired(): void {
    const open = [...this.#byHash].filter(([, entry]) => !this.#isOver(entry));
    if (open.length < this.#byHash.size) this.#become(this.#version, new Map(open));
  }

  async #readWhileAsked(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      this.#kept = [];
      const before = this.#version;
      try {
        const read = await this.#options.read();
        if (read.version >= before) this.#replace(read, this.#kept);
      } finally {
        this.#kept = undefined;
      }
    }
    this.#tell(Number.POSITIVE_INFINITY);
  }

  /** K2. */
  #replace({ version, entries }: AccessRead, since: readonly RecordedAccessFact[]): void {
    let reached = version;
    let byHash: ReadonlyMap<string, AccessEntry> = new Map(entries.map((entry) => [entry.hash, entry]));
    for (const fact of since) {
      if (fact.version <= reached) continue;
      if (fact.version > reached + 1) {
        this.#again = true;
        break;
      }
      byHash = after(byHash, fact);
      reached = fact.version;
    }
    this.#become(reached, byHash);
  }

  /** K3. */
  #become(version: number, byHash: ReadonlyMap<string, AccessEntry>): void {
    const before = this.#byHash;
    const rose = version > this.#version;
    this.#byHash = byHash;
    this.#version = version;
    for (const [hash, entry] of before) if (!byHash.has(hash)) this.#options.onEnded(entry);
    this.#tell(version);
    if (rose) this.#options.onApplied();
  }

  #tell(upTo: number): void {
    const told = this.#untold.filter(({ fact }) => fact.version <= upTo);
    this.#untold = this.#untold.filter(({ fact }) => fact.version > upTo);
    for (const heard of told) this.#options.onFact(heard);
  }

  #keep(fact: RecordedAccessFact): void {
    if (this.#kept === undefined) return;
    this.#kept.push(fact);
    if (this.#kept.length < MAX_KEPT) return;
    this.#kept = [];
    this.#again = true;
  }

  #isOver(entry: AccessEntry): boolean {
    return entry.kind === 'session' && Date.parse(entry.expiresAt) <= this.#options.now().getTime();
  }
}

/** The entries as they are after `fact`. Total: what ends and was never there, is not there. */
function after(byHash: ReadonlyMap<string, AccessEntry>, { type, data }: RecordedAccessFact): ReadonlyMap<string, AccessEntry> {
  switch (type) {
    case 'access.token-issued': {
      const { tokenId: id, hash, prefix, orgId } = data;
      return new Map(byHash).set(hash, { kind: 'org', id, hash, prefix, orgId });
    }
    case 'access.session-opened': {
      const { sessionId: id, hash, by, expiresAt } = data;
      const adminKey = by.kind === 'admin' ? (by.key ?? '') : null;
      return new Map(byHash).set(hash, { kind: 'session', id, hash, expiresAt, adminKey });
    }
    case 'access.token-revoked':
      return without(byHash, data.tokenId);
    case 'access.session-closed':
      return without(byHash, data.sessionId);
  }
}

const without = (byHash: ReadonlyMap<string, AccessEntry>, id: string): ReadonlyMap<string, AccessEntry> =>
  new Map([...byHash].filter(([, entry]) => entry.id !== id));
