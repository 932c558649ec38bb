import { type AccessFact, type SessionOrigin, TokenId } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { scenario } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accessFold } from './access.ts';
import {
  closeExpired,
  closeSession,
  type Decision,
  MAX_SESSIONS,
  mintOrgToken,
  type NewOrgToken,
  type NewSession,
  openSession,
  revokeOrgToken,
} from './decisions.ts';

const { given } = scenario(accessFold);
const id = (n: number) => TokenId.parse(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`);
const NOON = Date.UTC(2026, 10, 22, 12);
const at = (minutes: number) => new Date(NOON + minutes * 60_000).toISOString();

const token = (n: number): NewOrgToken => ({
  tokenId: id(n),
  hash: `${n % 10}`.repeat(64),
  prefix: `${n % 10}`.repeat(8),
  issuedAt: at(0),
});
const issued = (n: number, orgId = ''): AccessFact => ({
  type: 'access.token-issued',
  data: { ...token(n), name: '', orgId, createdBy: 'admin-token' },
});
const revoked = (n: number): AccessFact => ({ type: 'access.token-revoked', data: { tokenId: id(n) } });
const session = (n: number, by: SessionOrigin = { kind: 'admin' }, from = 0): NewSession => ({
  sessionId: id(n),
  hash: `${n % 10}`.repeat(64),
  by,
  openedAt: at(from),
  expiresAt: at(from + 60),
});
const opened = (n: number, by?: SessionOrigin, from?: number): AccessFact => ({
  type: 'access.session-opened',
  data: session(n, by, from),
});
const closed = (n: number, reason: 'logout' | 'token-revoked' | 'expired'): AccessFact => ({
  type: 'access.session-closed',
  data: { sessionId: id(n), reason },
});
const org = (n: number) => ({ kind: 'org', tokenId: id(n) }) as const;

describe('minting an org token', () => {
  it('names the admin token that it was minted with', () =>
    given()
      .when(mintOrgToken(token(1), { name: 'ci', by: { kind: 'admin' } }))
      .then({ type: 'access.token-issued', data: { ...token(1), name: 'ci', orgId: '', createdBy: 'admin-token' } }));

  it('names the session', () =>
    given()
      .when(mintOrgToken(token(1), { name: '', by: { kind: 'session', sessionId: null } }))
      .then({ type: 'access.token-issued', data: { ...token(1), name: '', orgId: '', createdBy: 'session' } }));

  it('K1: is refused to a session that ended meanwhile', () => {
    const minting = mintOrgToken(token(1), { name: '', by: { kind: 'session', sessionId: id(11) } });
    given(opened(11))
      .when(minting)
      .then({ type: 'access.token-issued', data: { ...token(1), name: '', orgId: '', createdBy: 'session' } });
    given(opened(11), opened(12), closed(11, 'logout'))
      .when(minting)
      .thenRefused({ kind: 'unauthenticated', message: 'admin auth required' });
  });

  it('names the org token, whose organisation it inherits', () =>
    given(issued(1, 'acme'))
      .when(mintOrgToken(token(2), { name: '', by: org(1) }))
      .then({
        type: 'access.token-issued',
        data: { ...token(2), name: '', orgId: 'acme', createdBy: 'org-token:11111111' },
      }));

  it('K1: is refused to an org token that was revoked meanwhile', () =>
    given(issued(1), revoked(1))
      .when(mintOrgToken(token(2), { name: '', by: org(1) }))
      .thenRefused({ kind: 'unauthenticated', message: 'invalid admin auth token' }));
});

describe('revoking an org token', () => {
  it('K2: ends it and the sessions opened with it, and no others', () =>
    given(issued(1), issued(2), opened(11, org(1)), opened(12, org(2)), opened(13), opened(14, org(1)))
      .when(revokeOrgToken(id(1)))
      .then(revoked(1), closed(11, 'token-revoked'), closed(14, 'token-revoked')));

  it('tells an unknown one and a revoked one apart to nobody', () => {
    const refusal = { kind: 'not-found', message: 'token not found or already revoked' };
    given()
      .when(revokeOrgToken(id(1)))
      .thenRefused(refusal);
    given(issued(1), revoked(1))
      .when(revokeOrgToken(id(1)))
      .thenRefused(refusal);
    given(issued(1)).when(revokeOrgToken('nonsense')).thenRefused(refusal);
  });
});

describe('opening a session', () => {
  it('remembers what it was opened with', () => {
    given()
      .when(openSession(session(11)))
      .then(opened(11));
    given(issued(1))
      .when(openSession(session(11, org(1))))
      .then(opened(11, org(1)));
  });

  it('K1: is refused to an org token that was revoked meanwhile', () =>
    given(issued(1), revoked(1))
      .when(openSession(session(11, org(1))))
      .thenRefused({ kind: 'unauthenticated', message: 'invalid admin auth token' }));

  it('K3: first ends those whose time is over', () =>
    given(opened(11), opened(12, { kind: 'admin' }, 30))
      .when(openSession(session(13, { kind: 'admin' }, 60)))
      .then(closed(11, 'expired'), opened(13, { kind: 'admin' }, 60)));

  it('K3: is refused when too many are open, until the time of one is over', () => {
    const many = Array.from({ length: MAX_SESSIONS }, (_, n) => opened(100 + n));
    given(...many)
      .when(openSession(session(11)))
      .thenRefused({ kind: 'too-many', message: 'maximum 1000 open sessions' });
    given(...many, closed(100, 'logout'))
      .when(openSession(session(11)))
      .then(opened(11));
    expect(openSession(session(11, { kind: 'admin' }, 60))(given(...many).state())).toHaveLength(MAX_SESSIONS + 1);
  });

  it('K2: ends those that were opened with an admin token which this one has replaced, and no others', () => {
    const [old, replacing] = [{ kind: 'admin', key: 'old' } as const, { kind: 'admin', key: 'new' } as const];
    given(issued(1), opened(11, old), opened(12, org(1)), opened(13, replacing), opened(14, { kind: 'admin' }))
      .when(openSession(session(15, replacing)))
      .then(closed(11, 'token-revoked'), closed(14, 'token-revoked'), {
        type: 'access.session-opened',
        data: session(15, replacing),
      });
    given(issued(1), opened(11, old))
      .when(openSession(session(15, org(1))))
      .then({ type: 'access.session-opened', data: session(15, org(1)) });
    given(opened(11, old))
      .when(openSession(session(15, replacing, 60)))
      .then(closed(11, 'expired'), { type: 'access.session-opened', data: session(15, replacing, 60) });
  });
});

describe('closing a session', () => {
  it('ends it, once', () => {
    given(opened(11), opened(12))
      .when(closeSession(id(11)))
      .then(closed(11, 'logout'));
    given(opened(11), closed(11, 'expired'))
      .when(closeSession(id(11)))
      .thenNothing();
    given().when(closeSession('nonsense')).thenNothing();
  });

  it('happens by itself when its time is over, not before', () => {
    given(opened(11), opened(12, { kind: 'admin' }, 1))
      .when(closeExpired(at(60)))
      .then(closed(11, 'expired'));
    given(opened(11))
      .when(closeExpired(at(59)))
      .thenNothing();
  });
});

it('K1–K3 hold after any sequence of commands', () => {
  const nth = fc.integer({ min: 1, max: 6 });
  const by = fc.oneof(nth.map(org), fc.constant({ kind: 'admin' } as const));
  const command = (time: number, n: number) =>
    fc.oneof(
      by.map((who): Decision => mintOrgToken(token(n), { name: '', by: who })),
      nth.map((which): Decision => revokeOrgToken(id(which))),
      by.map((who): Decision => openSession(session(100 + n, who, time))),
      nth.map((which): Decision => closeSession(id(100 + which))),
      fc.constant<Decision>(closeExpired(at(time))),
    );
  const commands = fc.tuple(...Array.from({ length: 20 }, (_, n) => command(n * 10, n + 1)));
  fc.assert(
    fc.property(commands, (all) => {
      let state = accessFold.initial;
      for (const decide of all) {
        try {
          state = replay(accessFold, decide(state), state);
        } catch (refusal) {
          expect(refusal).toMatchObject({ name: 'Refusal' });
        }
        const live = state.tokens.map(({ tokenId }) => tokenId);
        for (const { by: origin } of state.sessions) if (origin.kind === 'org') expect(live).toContain(origin.tokenId);
      }
    }),
  );
});
