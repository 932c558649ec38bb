/** What the registry is told of uses and refusals: bounded, whole, and nothing twice. */
import { DenialReport, type Identity, principalOf, TokenUses as Report } from '@molecule/contracts';
import { manualClock } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { Denials, denialReason } from './denials.ts';
import { TokenUses } from './token-uses.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const at = new Date('2026-01-01T12:00:00.000Z');

describe('uses of tokens', () => {
  it('are told once each, and forgotten then', () => {
    const uses = new TokenUses();
    for (const n of [1, 2, 1]) uses.opened(id(n));
    const messages = uses.take(at);
    expect(messages).toEqual([[id(1), id(2)].map((tokenId) => ({ tokenId, at: at.toISOString() }))]);
    expect(Report.parse(messages[0])).toEqual(messages[0]);
    expect(uses.take(at)).toEqual([]);
  });

  it('fit into messages of the bus, and are not kept beyond a bound', () => {
    const uses = new TokenUses(1_200);
    for (let n = 0; n < 2_000; n++) uses.opened(id(n));
    const messages = uses.take(at);
    expect(messages.map((message) => message.length)).toEqual([500, 500, 200]);
    for (const message of messages) expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(64 * 1024);
  });
});

describe('refusals', () => {
  const refused = (peer = '10.0.0.1') => ({ reason: 'missing', method: 'GET', path: '/workspaces/:id', peer }) as const;

  it('are counted by what they are, and told with the time they span', () => {
    const clock = manualClock(at);
    const denials = new Denials({ gateway: 'gateway-1', clock });
    for (const peer of ['10.0.0.1', '10.0.0.2', '10.0.0.1']) denials.add(refused(peer));
    clock.advance(60_000);
    const report = denials.take();
    expect(report).toEqual({
      gateway: 'gateway-1',
      since: at.toISOString(),
      until: '2026-01-01T12:01:00.000Z',
      denials: [
        { ...refused('10.0.0.1'), count: 2 },
        { ...refused('10.0.0.2'), count: 1 },
      ],
      omitted: 0,
    });
    expect(DenialReport.parse(report)).toEqual(report);
    clock.advance(60_000);
    expect(denials.take()).toBeNull();
    denials.add(refused());
    expect(denials.take()).toMatchObject({ since: '2026-01-01T12:02:00.000Z', denials: [{ count: 1 }] });
    expect(denials.totals.get('missing')).toBe(4);
    expect(denials.totals.get('forbidden')).toBe(0);
  });

  it('are a number once there are too many kinds; a report fits into one message', () => {
    const denials = new Denials({ gateway: 'gateway-1', clock: manualClock(at) });
    for (let n = 0; n < 1_000; n++)
      denials.add({ ...refused(`2001:db8:1111:2222:3333:4444:5555:${n}`), path: `/${'x'.repeat(60)}` });
    const report = denials.take();
    expect(report?.denials).toHaveLength(250);
    expect(report?.omitted).toBe(750);
    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(64 * 1024);
  });

  it.each<[number, Identity['kind'], boolean, string | null]>([
    [401, 'anonymous', false, 'missing'],
    [401, 'anonymous', true, 'invalid'],
    [401, 'unknown-token', false, 'invalid'],
    [401, 'admin', false, 'invalid'],
    [403, 'admin', false, 'forbidden'],
    [200, 'anonymous', false, null],
    [404, 'unknown-token', false, null],
    [429, 'admin', false, null],
    [503, 'unknown-token', false, null],
  ])('%d to %s (invalid session: %s) is %s', (status, kind, invalidSession, reason) =>
    expect(denialReason(status, principalOf({ kind } as Identity, { invalidSession }))).toBe(reason),
  );
});
