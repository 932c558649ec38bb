import { WorkspaceId } from '@molecule/contracts';
import { manualClock } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { LastOutbound } from './last-outbound.ts';

const [one, two, three] = [1, 2, 3].map((n) => WorkspaceId.parse(`00000000-0000-4000-8000-00000000000${n}`)) as [
  WorkspaceId,
  WorkspaceId,
  WorkspaceId,
];

/** A proxy that answers `answer`, as often as it is asked. */
function aProxy(maxKept?: number) {
  const clock = manualClock();
  const asked: WorkspaceId[] = [];
  const proxy = { answer: async (): Promise<string | null> => null, asked, clock };
  const ask = (id: WorkspaceId) => {
    asked.push(id);
    return proxy.answer();
  };
  const outbound = new LastOutbound({ ask, clock, log: { info: () => undefined }, ...(maxKept !== undefined && { maxKept }) });
  return Object.assign(proxy, { outbound });
}

describe('the time of the last call', () => {
  it('O1: is asked for once a second, however often it is read', async () => {
    const { outbound, asked, clock } = aProxy();
    expect(await Promise.all([outbound.of(one), outbound.of(one), outbound.of(two)])).toEqual([null, null, null]);
    expect(asked).toEqual([one, two]);
    clock.advance(999);
    await outbound.of(one);
    expect(asked).toHaveLength(2);
    clock.advance(1);
    expect(await outbound.of(one)).toBeNull();
    expect(asked).toHaveLength(3);
  });

  it('O1: is a second old at most', async () => {
    const proxy = aProxy();
    expect(await proxy.outbound.of(one)).toBeNull();
    proxy.answer = async () => '2026-01-01T12:00:00.500Z';
    proxy.clock.advance(1_000);
    expect(await proxy.outbound.of(one)).toBe('2026-01-01T12:00:00.500Z');
  });

  it('O2: is the last one known while nobody answers, and nobody asks again for a second', async () => {
    const proxy = aProxy();
    proxy.answer = async () => 'known';
    await proxy.outbound.of(one);
    proxy.clock.advance(1_000);
    proxy.answer = () => Promise.reject(new Error('no answer'));
    expect(await proxy.outbound.of(one)).toBe('known');
    expect(await proxy.outbound.of(two)).toBeNull();
    expect(await proxy.outbound.of(one)).toBe('known');
    expect(proxy.asked).toHaveLength(2);
    proxy.answer = async () => 'later';
    proxy.clock.advance(1_000);
    expect(await proxy.outbound.of(two)).toBe('later');
  });

  it('O3: is forgotten where it was asked for longest ago', async () => {
    const { outbound, asked } = aProxy(2);
    for (const id of [one, two, three, two, one]) await outbound.of(id);
    expect(asked).toEqual([one, two, three, one]);
  });
});
