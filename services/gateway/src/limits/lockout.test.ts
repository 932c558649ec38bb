/** G1–G4: who is locked out, and who never is. */
import type { Identity, Session } from '@molecule/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lockout, networkOf } from './lockout.ts';

const UNKNOWN: Identity = { kind: 'unknown-token' };
const WORKSPACE: Identity = { kind: 'workspace', workspaceId: 'w', tokenId: 't' };
const ORG: Identity = { kind: 'org', tokenId: 'o', prefix: 'p', orgId: '' };
const SESSION: Session = { kind: 'canvas', id: 's' };

const setUp = ({ perMinute = 3, maxAddresses = 100 } = {}) => {
  const time = { now: 0, known: true };
  const lockout = new Lockout({ perMinute, maxAddresses, nowMs: () => time.now });
  const judge = (identity: Identity, authorization?: string, session: Session | null = null, peer = '10.0.0.1') =>
    lockout.judge(
      peer,
      { identity, session, invalidSession: false, tokensKnown: time.known },
      { headers: authorization === undefined ? {} : { authorization } },
    );
  const guess = (count: number, peer?: string) => {
    for (let n = 0; n < count; n++) judge(UNKNOWN, `Bearer guess ${n}`, null, peer);
  };
  return { time, lockout, judge, guess };
};

describe('an address', () => {
  it('G1: may show one wrong credential as often as it likes', () => {
    const { judge } = setUp();
    for (let n = 0; n < 100; n++) expect(judge(UNKNOWN, 'Bearer revoked')).toBeNull();
  });

  it('G2: is locked out by one different guess too many, whatever it shows then, until its minute is over', () => {
    const { time, judge, guess } = setUp();
    time.now = 10;
    guess(3);
    expect(judge({ kind: 'admin' }, 'Bearer root')).toBeNull();
    time.now = 30_010;
    const refusal = judge(UNKNOWN, 'Bearer one more');
    expect(refusal).toMatchObject({
      kind: 'too-many',
      message: 'too many failed authentications',
      body: { retry_after: 30 },
      headers: { 'Retry-After': '30' },
    });
    for (const right of [
      judge({ kind: 'admin' }, 'Bearer root'),
      judge(ORG, 'Bearer org'),
      judge({ kind: 'anonymous' }, undefined, SESSION),
    ])
      expect(right).toEqual(refusal);
    expect(judge({ kind: 'anonymous' }, 'root'), 'without a scheme').toEqual(refusal);
    time.now = 60_010;
    expect(judge({ kind: 'admin' }, 'Bearer root')).toBeNull();
  });

  it('G2: is not known by another’s guesses, and asks nothing of who shows nothing', () => {
    const { judge, guess } = setUp();
    guess(10);
    expect(judge({ kind: 'admin' }, 'Bearer root', null, '10.0.0.2')).toBeNull();
    expect(judge({ kind: 'anonymous' })).toBeNull();
  });

  it('G3: passes with a live workspace token at any time', () => {
    const { judge, guess } = setUp();
    guess(10);
    expect(judge(WORKSPACE, 'Bearer live')).toBeNull();
  });

  it('counts what is shown under any scheme, but nothing that is somebody’s', () => {
    const { judge, lockout } = setUp({ perMinute: 1 });
    for (const identity of [WORKSPACE, ORG, { kind: 'admin' } as const]) judge(identity, `Bearer ${identity.kind}`);
    expect(lockout.size).toBe(0);
    judge({ kind: 'anonymous' }, 'Basic a');
    judge({ kind: 'anonymous' }, 'Basic b');
    expect(lockout.lockedFor('10.0.0.1')).toBe(60);
  });

  it('G5: is told to come back while tokens are not known, whatever it shows, and nothing counts', () => {
    const { time, judge, lockout } = setUp();
    time.known = false;
    for (const shown of ['Bearer a', 'Bearer b', 'Bearer c', 'Bearer d', 'root'])
      expect(judge(UNKNOWN, shown)).toMatchObject({ kind: 'unavailable' });
    expect(judge({ kind: 'anonymous' })).toBeNull();
    expect(lockout.size).toBe(0);
  });

  it('is locked out exactly when it has shown more than so many different ones within its minute', () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ token: fc.integer({ min: 0, max: 6 }), after: fc.integer({ min: 0, max: 30_000 }) }), {
          maxLength: 40,
        }),
        (guesses) => {
          const { time, lockout } = setUp({ perMinute: 3 });
          let window = { since: Number.NEGATIVE_INFINITY, tokens: new Set<number>() };
          for (const { token, after } of guesses) {
            time.now += after;
            if (time.now - window.since >= 60_000) window = { since: time.now, tokens: new Set() };
            window.tokens.add(token);
            lockout.failed('p', String(token));
            expect(lockout.lockedFor('p') !== null).toBe(window.tokens.size > 3);
          }
        },
      ),
    ));
});

describe('G4: what is kept', () => {
  it('is bounded in addresses, and goes with its minute', () => {
    const { time, lockout, guess } = setUp({ maxAddresses: 5 });
    for (let peer = 0; peer < 20; peer++) guess(1, `10.0.0.${peer}`);
    expect(lockout.size).toBe(5);
    time.now = 60_000;
    guess(1, '10.0.1.1');
    expect(lockout.size).toBe(1);
  });

  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ])('%s counts as %s', (peer, network) => expect(networkOf(peer)).toBe(network));
});
