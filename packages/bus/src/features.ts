/** What a NATS server can do, by its version. 2.9 is the oldest that works; what it lacks is done without, or done here. */

export interface Features {
  /** Streams stored compressed (2.10). */
  readonly compression: boolean;
  /** The names of what this server lacks. */
  readonly missing: readonly string[];
}

export class ServerTooOld extends Error {
  constructor(version: string) {
    super(`nats-server ${version} is too old: 2.9 or newer is needed`);
  }

  override get name(): string {
    return 'ServerTooOld';
  }
}

const SINCE = { compression: [2, 10] } as const;

/** Throws `ServerTooOld` below 2.9. A version that cannot be read counts as 2.9: nothing newer is relied upon. */
export function featuresOf(version: string): Features {
  const [major = 2, minor = 9] = (/^v?(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
  const has = ([sinceMajor, sinceMinor]: readonly [number, number]) =>
    major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
  if (!has([2, 9])) throw new ServerTooOld(version);
  const compression = has(SINCE.compression);
  return { compression, missing: compression ? [] : ['stream compression'] };
}
