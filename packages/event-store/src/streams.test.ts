/** What a process remembers of streams (T1, T2). */
import { describe, expect, it } from 'vitest';
import { RecentStates, Turns } from './streams.ts';

describe('recent states', () => {
  const [one, other] = [{}, {}];

  it('keeps those used last', () => {
    const states = new RecentStates(2);
    states.set(one, 'a', { state: 'A', version: 1 });
    states.set(one, 'b', { state: 'B', version: 1 });
    states.get(one, 'a');
    states.set(one, 'c', { state: 'C', version: 1 });
    expect(['a', 'b', 'c'].map((stream) => states.get(one, stream)?.state)).toEqual(['A', undefined, 'C']);
  });

  it('gives a state only to the aggregate that made it', () => {
    const states = new RecentStates(2);
    states.set(one, 'a', { state: 'A', version: 1 });
    expect(states.get(other, 'a')).toBeUndefined();
    states.forget('a');
    expect(states.get(one, 'a')).toBeUndefined();
  });
});

describe('turns', () => {
  it('T2: are taken in order per stream, and not across streams', async () => {
    const turns = new Turns({ maxWaitMs: 10_000, isHopeless: () => false });
    const events: string[] = [];
    const gates = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const work = (stream: string, n: number) =>
      turns.take(stream, async () => {
        events.push(`${stream}${n}`);
        await gates[n]?.promise;
      });
    const all = [work('a', 0), work('a', 1), work('b', 2)];
    await Promise.resolve();
    await Promise.resolve();
    expect(events).toEqual(['a0', 'b2']);
    for (const gate of gates) gate.resolve();
    await Promise.all(all);
    expect(events).toEqual(['a0', 'b2', 'a1']);
  });

  it('T2: are not waited for too long, and a failure ends its turn', async () => {
    const turns = new Turns({ maxWaitMs: 5, isHopeless: () => false });
    const stuck = Promise.withResolvers<void>();
    const first = turns.take('a', () => stuck.promise);
    await expect(turns.take('a', async () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await turns.take('a', async () => 'went on')).toBe('went on');
    stuck.resolve();
    await first;
    expect(await turns.take('a', async () => 'free')).toBe('free');
  });

  it('T2: are not waited for when the one before failed hopelessly', async () => {
    const turns = new Turns({ maxWaitMs: 10_000, isHopeless: () => true });
    const gate = Promise.withResolvers<void>();
    const stuck = Promise.withResolvers<string>();
    const first = turns.take('a', async () => {
      await gate.promise;
      throw new Error('the database is away');
    });
    const others = [turns.take('a', () => stuck.promise), turns.take('a', async () => 'went on')];
    gate.resolve();
    await expect(first).rejects.toThrow('away');
    expect(await others[1]).toBe('went on');
    stuck.resolve('in the end');
    expect(await others[0]).toBe('in the end');
  });
});
