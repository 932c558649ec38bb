import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplyBody, ReplyMemory } from './reply-body.ts';

const KIB = 1024;

describe('a reply that is read', () => {
  it('is what its parts were, in whatever parts it came', () =>
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 10_000, max: 50_000 }))), (sizes) => {
        const body = new ReplyBody();
        const parts = sizes.map((size, n) => Buffer.alloc(size, n + 1));
        for (const part of parts) body.add(part);
        expect(body.size).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(body.take().equals(Buffer.concat(parts))).toBe(true);
      }),
    ));

  it('B1: takes no more than its size, byte by byte', () => {
    const body = new ReplyBody();
    const part = Buffer.alloc(1, 'x');
    const before = process.memoryUsage();
    for (let n = 0; n < 1024 * KIB; n++) body.add(part);
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    expect(heapUsed - before.heapUsed + arrayBuffers - before.arrayBuffers).toBeLessThan(32 * 1024 * KIB); // parts of their own would take a hundred
    expect(body.take().toString('latin1', 0, 3)).toBe('xxx');
  });

  it('is not copied when it comes in one part', () => {
    const body = new ReplyBody();
    const part = Buffer.from('{}');
    body.add(part);
    expect(body.take()).toBe(part);
  });
});

describe('what replies take together', () => {
  const reader = () => {
    const about = {
      isBrokenOff: false,
      breakOff: () => {
        about.isBrokenOff = true;
      },
    };
    return about;
  };

  it('B2: is bounded: the largest is broken off, whoever grows', () => {
    const memory = new ReplyMemory(1_000 * KIB);
    const [large, small, middling] = [reader(), reader(), reader()];
    memory.hold(large, 600 * KIB);
    memory.hold(middling, 300 * KIB);
    memory.hold(small, 64 * KIB);
    expect(memory.total).toBe(900 * KIB); // small ones are not counted
    memory.hold(middling, 500 * KIB);
    expect([large, small, middling].map(({ isBrokenOff }) => isBrokenOff)).toEqual([true, false, false]);
    expect([memory.total, memory.brokenOff]).toEqual([500 * KIB, 1]);
    memory.hold(middling, 1_001 * KIB);
    expect([middling.isBrokenOff, memory.total, memory.brokenOff]).toEqual([true, 0, 2]);
  });

  it('is given back when less is held', () => {
    const memory = new ReplyMemory(1_000 * KIB);
    const one = reader();
    for (const size of [900, 100, 1, 900]) memory.hold(one, size * KIB);
    expect([memory.total, one.isBrokenOff]).toEqual([900 * KIB, false]);
    memory.hold(one, KIB);
    expect(memory.total).toBe(0);
  });

  it('is given back when a reply is read', () => {
    const memory = new ReplyMemory(1_000 * KIB);
    for (let n = 0; n < 10; n++) {
      const one = reader();
      memory.hold(one, 900 * KIB);
      memory.release(one);
      memory.release(one);
      expect(one.isBrokenOff).toBe(false);
    }
    expect(memory.total).toBe(0);
  });
});
