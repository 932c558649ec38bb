/**
 * So many requests per minute from one address, whatever they ask for; and so many new org tokens per hour (spec 1 §4.12).
 *
 *   R1. The address is that of the TCP connection: no forwarding header is ever believed.
 *   R2. In open development nothing is limited, and every answer says so.
 */
import type { ServerResponse } from 'node:http';
import { sendJson } from '@molecule/http';
import { type Admission, FixedWindows } from '@molecule/service';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINTS_PER_HOUR = 10;

export interface RateLimits {
  /** Every request of an address. */
  readonly requests: RateLimit;
  /** Those of them that ask for an org token, once they may. */
  readonly mints: RateLimit;
}

export interface RateLimit {
  /** Counts a request; `null`: nothing is counted here (R2). */
  take(peer: string): Admission | null;
}

const UNLIMITED: RateLimit = { take: () => null };

export function rateLimits({
  perMinute,
  devOpen,
  nowMs,
}: {
  readonly perMinute: number;
  readonly devOpen: boolean;
  readonly nowMs: () => number;
}): RateLimits {
  if (devOpen) return { requests: UNLIMITED, mints: UNLIMITED };
  return {
    requests: new FixedWindows({ limit: perMinute, windowMs: MINUTE_MS, nowMs }),
    mints: new FixedWindows({ limit: MINTS_PER_HOUR, windowMs: HOUR_MS, nowMs }),
  };
}

/** The headers that say where a caller stands: name, value, name, value … */
export const limitHeaders = (admission: Admission | null): string[] =>
  admission === null
    ? ['X-RateLimit-Limit', 'unlimited']
    : [
        'X-RateLimit-Limit',
        String(admission.limit),
        'X-RateLimit-Remaining',
        String(admission.remaining),
        'X-RateLimit-Reset',
        String(admission.resetSeconds),
      ];

export function setLimitHeaders(response: ServerResponse, admission: Admission | null): void {
  const headers = limitHeaders(admission);
  for (let at = 0; at < headers.length; at += 2) response.setHeader(headers[at] as string, headers[at + 1] as string);
}

export const isExhausted = (admission: Admission | null): admission is Admission => admission !== null && !admission.allowed;

/** What a caller that has used up its window is told: the body of the 429. */
export const exhausted = ({ resetSeconds }: Admission) => ({ error: 'rate limit exceeded', retry_after: resetSeconds });

/** Answers 429. */
export function refuseExhausted(response: ServerResponse, admission: Admission): void {
  setLimitHeaders(response, admission);
  sendJson(response, exhausted(admission), 429, { 'retry-after': String(admission.resetSeconds) });
}
