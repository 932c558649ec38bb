/**
 * So many requests a minute of one bearer (spec 1 §4.12, spec 2 §7.11), also in development. Each process counts for itself, as the
 * gateways do (ADR 10).
 *
 *   L1. A token is kept as a hash, for as long as its window lasts, and of no more than so many.
 */
import { createHash } from 'node:crypto';
import { type Admission, FixedWindows } from '@molecule/service';

export const PER_MINUTE = 120;
const MINUTE_MS = 60_000;
const MAX_BEARERS = 20_000;

export class BearerLimit {
  readonly #windows: FixedWindows;
  /** Requests that were refused since the start. */
  refused = 0;

  constructor(nowMs: () => number) {
    this.#windows = new FixedWindows({ limit: PER_MINUTE, windowMs: MINUTE_MS, nowMs, maxKeys: MAX_BEARERS });
  }

  /** Counts a request. */
  take(bearer: string): Admission {
    const admission = this.#windows.take(hashOf(bearer)); // L1
    if (!admission.allowed) this.refused++;
    return admission;
  }
}

export const hashOf = (bearer: string): string => createHash('sha256').update(bearer).digest('base64url');

/** Whatever follows `Bearer`, in any case; `null`: none was shown. Whether it opens anything is for the gateway to say. */
export function shownBearer(authorization: string | undefined): string | null {
  return /^bearer +(\S.*)$/i.exec(authorization ?? '')?.[1]?.trimEnd() ?? null;
}

export const limitHeaders = ({ limit, remaining, resetSeconds }: Admission): Record<string, string> => ({
  'X-RateLimit-Limit': String(limit),
  'X-RateLimit-Remaining': String(remaining),
  'X-RateLimit-Reset': String(resetSeconds),
});
