import { FACTS } from '@molecule/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFact, encodeFact, HEADERS, RecentIds, typeOfSubject } from './envelope.ts';
import { FactTooLarge } from './errors.ts';
import { parseDelivery } from './ordered-feed.ts';
import { aWorkspaceId, moved, recorded } from './test-support.ts';

describe('a fact on the bus', () => {
  it('comes out as it went in', () => {
    const fact = moved(aWorkspaceId(), 7);
    expect(decodeFact(encodeFact(fact).body)).toEqual({ kind: 'fact', fact });
  });

  it('shows in its subject and headers what it is and what it follows from', () => {
    const fact = moved(aWorkspaceId(), 7);
    const { subject, headers } = encodeFact(fact);
    expect(subject).toBe(`workspace.moved.${fact.workspaceId}`);
    expect(typeOfSubject(subject)).toBe('workspace.moved');
    expect(headers.get(HEADERS.type)).toBe('workspace.moved');
    expect(headers.get(HEADERS.version)).toBe('7');
    expect(headers.get(HEADERS.correlation)).toBe('request-1');
    expect(headers.has(HEADERS.causation)).toBe(false);
    expect(headers.get('traceparent')).toBe(fact.traceparent);
  });

  it('is refused above 64 KiB, by name', () => {
    const fact = { ...recorded(aWorkspaceId(), 1), type: 'workspace.card', data: { agentCard: 'x'.repeat(70_000) } };
    expect(() => encodeFact(fact)).toThrow(FactTooLarge);
    expect(() => encodeFact(fact)).toThrow(/workspace\.card .* has 7\d{4} bytes; the bus carries 65536/);
  });

  it('cannot smuggle wildcards or separators into a subject', () => {
    for (const workspaceId of ['*', '>', 'a.b', 'a b', '', 'a\r\nPUB x'])
      expect(() => encodeFact({ ...moved(aWorkspaceId(), 1), workspaceId })).toThrow(TypeError);
  });

  it('is kept apart when it is of a type not known here', () => {
    const fact = { ...moved(aWorkspaceId(), 1), type: 'workspace.teleported' };
    expect(decodeFact(JSON.stringify(fact))).toEqual({ kind: 'unknown', type: 'workspace.teleported' });
  });

  it('that cannot be read is told from one that can, whatever it holds', () => {
    const good = JSON.parse(JSON.stringify(moved(aWorkspaceId(), 1))) as Record<string, unknown>;
    for (const broken of [{ version: 0 }, { id: '' }, { stream: 7 }, { data: { parentId: 'nobody' } }, { data: null }])
      expect(decodeFact(JSON.stringify({ ...good, ...broken })).kind).toBe('unparsable');
    fc.assert(fc.property(fc.string(), (text) => decodeFact(text).kind !== 'fact'));
    fc.assert(fc.property(fc.json(), (text) => decodeFact(text).kind !== 'fact'));
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(FACTS)), fc.object(), (type, data) => {
        expect(() => decodeFact(JSON.stringify({ ...good, type, data }))).not.toThrow();
      }),
    );
  });
});

describe('the ids seen last', () => {
  it('are known until too many came after them', () => {
    const seen = new RecentIds(3);
    for (const id of ['a', 'b', 'c']) seen.add(id);
    expect(['a', 'b', 'c'].every((id) => seen.has(id))).toBe(true);
    seen.add('d');
    expect(seen.has('a')).toBe(false);
    expect(seen.has('d')).toBe(true);
  });
});

describe('where a delivery stands', () => {
  it('is read from the short and the long form of its reply', () => {
    const expected = { sequence: 42, delivered: 7, pending: 3 };
    expect(parseDelivery('$JS.ACK.FACTS.abc.1.42.7.1700000000000000000.3')).toEqual(expected);
    expect(parseDelivery('$JS.ACK.hub.ACCHASH.FACTS.abc.1.42.7.1700000000000000000.3.rand')).toEqual(expected);
  });

  it('is unknown for what is no delivery', () => {
    expect(parseDelivery(undefined)).toBeUndefined();
    expect(parseDelivery('_INBOX.x.y')).toBeUndefined();
    expect(parseDelivery('$JS.ACK.FACTS.abc.1.x.7.1.3')).toBeUndefined();
  });
});
