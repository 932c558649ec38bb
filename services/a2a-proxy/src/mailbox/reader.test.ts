/** Who may read a mailbox, as a table: what is wrong about somebody is said as for any other route. */
import { type Identity, type Principal, principalOf, Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { maySee, readerOf } from './reader.ts';

const target = '10000000-0000-4000-8000-000000000001';
const sender = '10000000-0000-4000-8000-000000000002';
const as = (workspaceId: string): Identity => ({ kind: 'workspace', workspaceId, tokenId: 't' });

const read = (
  who: Identity,
  header = '',
  {
    tokens = 1,
    mode = 'default' as 'default' | 'production',
    ...more
  }: { tokens?: number; mode?: 'default' | 'production' } & Partial<Principal> = {},
): string => {
  const reader = readerOf({ header, target, principal: principalOf(who, more), mode, liveTokens: () => tokens });
  if (reader instanceof Refusal) return `${reader.kind}: ${reader.message}`;
  return reader.sees === 'all' ? 'all' : `own of ${reader.callerId === sender ? 'the sender' : reader.callerId}`;
};
const anonymous: Identity = { kind: 'anonymous' };
const open = { devOpen: true };

describe('a reader of a mailbox', () => {
  it.each<[string, string, string]>([
    ['the target', read(as(target)), 'all'],
    ['the target by name', read(as(target), target), 'all'],
    ['an operator', read({ kind: 'admin' }), 'all'],
    ['an operator who names a workspace', read({ kind: 'admin' }, sender), 'all'],
    ['a canvas session', read(anonymous, '', { session: { kind: 'canvas', id: 's' } }), 'all'],
    ['a page of ours', read(anonymous, '', { sameOrigin: true }), 'all'],
    ['anybody in development mode', read(anonymous, '', open), 'all'],
    ['a service of ours', read({ kind: 'service', service: 'scheduler', as: '' }), 'all'],
    ['the sender', read(as(sender), sender), 'own of the sender'],
    ['the sender by token alone', read(as(sender)), 'own of the sender'],
    ['the sender in development mode', read(as(sender), sender, open), 'own of the sender'],
    ['a sender without a token', read(anonymous, sender, { tokens: 0 }), 'own of the sender'],
    ['one who says so in development mode', read(anonymous, sender, { ...open, tokens: 0 }), 'own of the sender'],
    [
      'one who says so in production',
      read(anonymous, sender, { tokens: 0, mode: 'production' }),
      'unauthenticated: missing caller auth token',
    ],
    ['one who says so', read(anonymous, sender), 'unauthenticated: missing caller auth token'],
    ['somebody else who says so', read(as('x'), sender), 'unauthenticated: invalid caller auth token'],
    ['a system name', read(anonymous, 'system:x'), 'forbidden: invalid caller ID'],
    ['nobody', read(anonymous), 'unauthenticated: missing workspace auth token'],
    ['a wrong bearer', read({ kind: 'unknown-token' }, '', open), 'unauthenticated: invalid workspace auth token'],
    [
      'whoever, while tokens are unknown',
      read(as(sender), sender, { tokensKnown: false }),
      'unavailable: platform datastore unavailable — retry shortly',
    ],
    [
      'whoever shows a bearer alone, while tokens are unknown',
      read(as(sender), '', { tokensKnown: false }),
      'unavailable: platform datastore unavailable — retry shortly',
    ],
  ])('%s', (_who, seen, expected) => expect(seen).toBe(expected));

  it('who sees their own sees nothing of the canvas or of others', () => {
    const own = { sees: 'own', callerId: sender } as const;
    expect([sender, target, null].map((callerId) => maySee(own, callerId as never))).toEqual([true, false, false]);
    expect(maySee({ sees: 'all' }, null)).toBe(true);
  });
});
