import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LastHeard } from './last-heard.ts';

describe('who has been silent', () => {
  it('is whoever was not heard since then, oldest first, told once', () => {
    const lastHeard = new LastHeard();
    lastHeard.heard('a', 10);
    lastHeard.heard('b', 20);
    lastHeard.heard('c', 30);
    lastHeard.heard('a', 40);
    expect(lastHeard.takeSilent(30)).toEqual([{ workspaceId: 'b', at: 20 }]);
    expect(lastHeard.takeSilent(30)).toEqual([]);
    lastHeard.heard('b', 50);
    expect(lastHeard.takeSilent(100).map(({ workspaceId }) => workspaceId)).toEqual(['c', 'a', 'b']);
  });

  it('is not moved by what is older than known', () => {
    const lastHeard = new LastHeard();
    lastHeard.heard('a', 40);
    lastHeard.heard('a', 10);
    expect(lastHeard.takeSilent(30)).toEqual([]);
  });

  it('may have been heard before the clock began, as monotonic ones do with the process', () => {
    const lastHeard = new LastHeard();
    lastHeard.seed([['a', -500]]);
    lastHeard.heard('b', -400);
    expect(lastHeard.takeSilent(-450)).toEqual([{ workspaceId: 'a', at: -500 }]);
    expect(lastHeard.takeSilent(0)).toEqual([{ workspaceId: 'b', at: -400 }]);
  });

  it('is never somebody heard since then, whatever the clocks do', () => {
    const said = fc.record({ id: fc.constantFrom('a', 'b', 'c'), at: fc.integer({ min: 0, max: 100 }) });
    fc.assert(
      fc.property(fc.array(said), fc.array(said), fc.integer({ min: 0, max: 110 }), (seeded, heard, before) => {
        const lastHeard = new LastHeard();
        lastHeard.seed(seeded.map(({ id, at }) => [id, at]));
        for (const { id, at } of heard) lastHeard.heard(id, at);
        const newest = new Map<string, number>();
        for (const { id, at } of [...seeded, ...heard]) newest.set(id, Math.max(at, newest.get(id) ?? 0));
        for (const { workspaceId } of lastHeard.takeSilent(before)) expect(newest.get(workspaceId)).toBeLessThan(before);
      }),
    );
  });
});
