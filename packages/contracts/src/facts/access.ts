/**
 * What opens every door: org tokens and canvas sessions. Stream `access.platform`; and what was refused, stream `denial.platform`.
 * No token material but hashes and prefixes (I10).
 */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { Timestamp, TokenId } from '../ids.ts';

const heard = <Schema extends z.ZodType>(schema: Schema) => ({ schema, audience: 'all' }) as const;

/** What a canvas session was opened with; it ends with that. */
export const SessionOrigin = z.discriminatedUnion('kind', [
  /** `key`: which admin token it was, see `Identity`. */
  z.object({ kind: z.literal('admin'), key: z.string().optional() }),
  z.object({ kind: z.literal('org'), tokenId: TokenId }),
]);
export type SessionOrigin = z.infer<typeof SessionOrigin>;

/** Why somebody was not let in. */
export const DenialReason = z.enum([
  'missing',
  'invalid',
  'forbidden',
  'locked-out',
  'rate-limited',
  'foreign-origin',
  'other-tenant',
]);
export type DenialReason = z.infer<typeof DenialReason>;

/** So many refusals of one kind to one address. `path` is a route's pattern, never a concrete id. */
export const Denial = z.object({
  reason: DenialReason,
  method: z.string(),
  path: z.string(),
  peer: z.string(),
  count: z.number().int().positive(),
});
export type Denial = z.infer<typeof Denial>;

export const accessFacts = defineFacts({
  'access.token-issued': heard(
    z.object({
      tokenId: TokenId,
      /** SHA-256 of the plaintext, hex. The plaintext is nowhere. */
      hash: z.string().length(64),
      prefix: z.string().length(8),
      /** `''`: none was given. */
      name: z.string(),
      orgId: z.string(),
      /** `org-token:<prefix>`, `session` or `admin-token` (spec 1 §4.8). */
      createdBy: z.string(),
      issuedAt: Timestamp,
    }),
  ),
  'access.token-revoked': heard(z.object({ tokenId: TokenId })),
  'access.session-opened': heard(
    z.object({
      sessionId: TokenId,
      hash: z.string().length(64),
      by: SessionOrigin,
      openedAt: Timestamp,
      expiresAt: Timestamp,
    }),
  ),
  'access.session-closed': heard(z.object({ sessionId: TokenId, reason: z.enum(['logout', 'token-revoked', 'expired']) })),
});
export type AccessFact = FactOf<typeof accessFacts>;
export type RecordedAccessFact = RecordedFactOf<typeof accessFacts>;

export const denialFacts = defineFacts({
  /** Refusals of one gateway within one interval, put together; `omitted` counts those that had no room. */
  'access.denied': {
    schema: z.object({
      since: Timestamp,
      until: Timestamp,
      denials: z.array(Denial),
      omitted: z.number().int(),
    }),
    audience: 'owner',
  },
});
export type DenialFact = FactOf<typeof denialFacts>;
