import type { AccessEntry, AccessFact, RecordedAccessFact } from '@molecule/contracts';
import { recordedFact } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Access, type AccessRead, type Heard } from './access.ts';
import { id } from './testing/facts.ts';

const NOON = Date.UTC(2026, 10, 22, 12);
const hashOf = (n: number) => String(n % 10).repeat(64);
const at = (seconds: number) => new Date(NOON + seconds * 1_000).toISOString();

const facts = (...list: AccessFact[]): RecordedAccessFact[] =>
  list.map((fact, index) => recordedFact(fact, { workspaceId: 'platform', stream: 'access.platform', version: index + 1 }));
const heard = (fact: RecordedAccessFact): Heard<RecordedAccessFact> => ({
  fact,
  place: { epoch: at(0), sequence: fact.version },
});
const issued = (n: number): AccessFact => ({
  type: 'access.token-issued',
  data: {
    tokenId: id(n),
    hash: hashOf(n),
    prefix: 'abcdefgh',
    name: '',
    orgId: 'acme',
    createdBy: 'admin-token',
    issuedAt: at(0),
  },
});
const revoked = (n: number): AccessFact => ({ type: 'access.token-revoked', data: { tokenId: id(n) } });
const opened = (n: number, expiresAt = at(60)): AccessFact => ({
  type: 'access.session-opened',
  data: { sessionId: id(n), hash: hashOf(n), by: { kind: 'admin' }, openedAt: at(0), expiresAt },
});
const closed = (n: number): AccessFact => ({ type: 'access.session-closed', data: { sessionId: id(n), reason: 'logout' } });

/** What the registry answers when its log has got this far. */
const readAt = (log: readonly RecordedAccessFact[], version: number): AccessRead => {
  const entries = new Map<string, AccessEntry>();
  for (const { type, data } of log.slice(0, version))
    if (type === 'access.token-issued')
      entries.set(data.tokenId, { kind: 'org', id: data.tokenId, hash: data.hash, prefix: data.prefix, orgId: data.orgId });
    else if (type === 'access.session-opened')
      entries.set(data.sessionId, {
        kind: 'session',
        id: data.sessionId,
        hash: data.hash,
        expiresAt: data.expiresAt,
        adminKey: '',
      });
    else entries.delete(type === 'access.token-revoked' ? data.tokenId : data.sessionId);
  return { version, entries: [...entries.values()] };
};

function anAccess(read: () => AccessRead | Promise<AccessRead> = () => ({ version: 0, entries: [] })) {
  const seen: string[] = [];
  const clock = { second: 0 };
  let reads = 0;
  const access = new Access({
    read: async () => {
      reads++;
      return read();
    },
    now: () => new Date(NOON + clock.second * 1_000),
    onEnded: (entry) => void seen.push(`ended ${Number(entry.id.slice(-3))}`),
    onFact: ({ fact: { version } }) => void seen.push(`fact ${version}`),
    onApplied: () => void seen.push(`applied ${access.version}`),
  });
  return { access, seen, clock, reads: () => reads };
}

describe('who may open every door', () => {
  it('follows the facts: tokens until they are revoked, sessions until they are closed', () => {
    const { access } = anAccess();
    const [issue, open, revoke, close] = facts(issued(1), opened(2), revoked(1), closed(2)) as [
      RecordedAccessFact,
      RecordedAccessFact,
      RecordedAccessFact,
      RecordedAccessFact,
    ];
    access.hear(heard(issue));
    expect(access.of(hashOf(1))).toEqual({ kind: 'org', id: id(1), hash: hashOf(1), prefix: 'abcdefgh', orgId: 'acme' });
    access.hear(heard(open));
    expect(access.of(hashOf(2))).toEqual({ kind: 'session', id: id(2), hash: hashOf(2), expiresAt: at(60), adminKey: '' });
    access.hear(heard(revoke));
    expect(access.of(hashOf(1))).toBeUndefined();
    access.hear(heard(close));
    expect(access.of(hashOf(2))).toBeUndefined();
    expect(access.version).toBe(4);
  });

  it('opens nothing to a session whose time is over, and forgets it', () => {
    const { access, seen, clock } = anAccess();
    for (const fact of facts(issued(1), opened(2, at(10)))) access.hear(heard(fact));
    access.forgetExpired();
    clock.second = 10;
    expect(access.of(hashOf(2))).toBeUndefined();
    expect(seen).not.toContain('ended 2');
    access.forgetExpired();
    expect(seen.filter((line) => line.startsWith('ended'))).toEqual(['ended 2']);
    expect(access.of(hashOf(1))).toBeDefined();
  });

  it('K3: tells what ended and the fact that ended it before the version counts', () => {
    const { access, seen } = anAccess();
    for (const fact of facts(issued(1), revoked(1))) access.hear(heard(fact));
    expect(seen).toEqual(['fact 1', 'applied 1', 'ended 1', 'fact 2', 'applied 2']);
  });

  it('K1: a fact that is known already changes nothing', () => {
    const { access, seen } = anAccess();
    const [issue, revoke] = facts(issued(1), revoked(1)) as [RecordedAccessFact, RecordedAccessFact];
    for (const fact of [issue, revoke, issue]) access.hear(heard(fact));
    expect(access.of(hashOf(1))).toBeUndefined();
    expect(seen.slice(-1)).toEqual(['fact 1']);
    expect(access.version).toBe(2);
  });

  it('K1, K3: closes a hole by reading, and tells what ended in it', async () => {
    const log = facts(issued(1), issued(2), revoked(1), issued(3));
    const { access, seen, reads } = anAccess(() => readAt(log, 4));
    for (const version of [1, 2, 4]) access.hear(heard(log[version - 1] as RecordedAccessFact));
    expect(access.incomplete).toBe(true);
    expect(access.version).toBe(2);
    await access.refresh();
    expect(access.incomplete).toBe(false);
    expect([1, 2, 3].map((n) => access.of(hashOf(n)) !== undefined)).toEqual([false, true, true]);
    expect(seen.slice(4)).toEqual(['ended 1', 'fact 4', 'applied 4']);
    expect(reads()).toBe(2);
  });

  it('K2: applies what came while it read, and reads once more when that has a hole', async () => {
    const log = facts(issued(1), issued(2), revoked(1), issued(3), revoked(2));
    const reading = [Promise.withResolvers<AccessRead>(), Promise.withResolvers<AccessRead>()];
    let read = 0;
    const { access, reads } = anAccess(() => (reading[read++] as (typeof reading)[number]).promise);
    const done = access.refresh();
    access.hear(heard(log[2] as RecordedAccessFact));
    access.hear(heard(log[4] as RecordedAccessFact));
    reading[0]?.resolve(readAt(log, 2));
    await Promise.resolve();
    reading[1]?.resolve(readAt(log, 5));
    await done;
    expect(reads()).toBe(2);
    expect(access.version).toBe(5);
    expect([1, 2, 3].map((n) => access.of(hashOf(n)) !== undefined)).toEqual([false, false, true]);
  });

  it('K2: what it knows is not undone by an answer that is older', async () => {
    const log = facts(issued(1), revoked(1));
    const { access } = anAccess(() => readAt(log, 1));
    for (const fact of log) access.hear(heard(fact));
    await access.refresh();
    expect(access.version).toBe(2);
    expect(access.of(hashOf(1))).toBeUndefined();
  });

  it('is the log again, whatever was lost on the way and whenever it was read', async () => {
    const step = fc.record({
      token: fc.integer({ min: 1, max: 5 }),
      ends: fc.boolean(),
      lost: fc.boolean(),
      reads: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const log = facts(...steps.map(({ token, ends }) => (ends ? revoked(token) : issued(token))), issued(9));
        let committed = 0;
        const { access } = anAccess(() => readAt(log, committed));
        const pending: Promise<void>[] = [];
        for (const [index, fact] of log.entries()) {
          committed = index + 1;
          if (steps[index]?.lost !== true) access.hear(heard(fact));
          if (steps[index]?.reads === true) pending.push(access.refresh());
          if (index % 3 === 0) await Promise.resolve();
        }
        await Promise.all(pending);
        await access.refresh();
        expect(access.version).toBe(log.length);
        const open = readAt(log, log.length).entries.map(({ hash }) => hash);
        for (const n of [1, 2, 3, 4, 5, 9])
          expect({ n, open: access.of(hashOf(n)) !== undefined }).toEqual({ n, open: open.includes(hashOf(n)) });
      }),
    );
  });
});
