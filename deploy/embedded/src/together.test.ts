/** What opens side by side fails together, and is closed together. */
import { Scope } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { openTogether } from './together.ts';

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop'))));

describe('opening together', () => {
  it('gives what was opened, and closes it with its parent', async () => {
    const parent = new Scope();
    const closed: string[] = [];
    const opened = await openTogether<{ a: number; b: string }>(parent, {
      a: (own) =>
        own.open(
          () => 1,
          () => closed.push('a'),
        ),
      b: (own) =>
        own.open(
          () => 'two',
          () => closed.push('b'),
        ),
    });
    expect(opened).toEqual({ a: 1, b: 'two' });
    await parent.close();
    expect(closed.sort()).toEqual(['a', 'b']);
  });

  it('ends the others when one fails, says why, and still closes what had opened', async () => {
    const parent = new Scope();
    const closed: string[] = [];
    const opening = openTogether<{ a: number; b: number; c: number }>(parent, {
      a: (own) =>
        own.open(
          () => 1,
          () => closed.push('a'),
        ),
      b: async () => Promise.reject(new Error('b is broken')),
      c: (own) => untilAborted(own.signal),
    });
    await expect(opening).rejects.toThrow('b is broken');
    await parent.close();
    expect(closed).toEqual(['a']);
  });

  it('is over when the parent is told to stop', async () => {
    const parent = new Scope();
    const opening = openTogether<{ a: number }>(parent, { a: (own) => untilAborted(own.signal) });
    parent.stopOpening();
    await expect(opening).rejects.toThrow();
  });

  it('closes all, also when one cannot be closed', async () => {
    const parent = new Scope();
    let closed = false;
    await openTogether<{ a: number; b: number }>(parent, {
      a: (own) =>
        own.open(
          () => 1,
          () => Promise.reject(new Error('stuck')),
        ),
      b: (own) =>
        own.open(
          () => 2,
          () => {
            closed = true;
          },
        ),
    });
    await expect(parent.close()).rejects.toThrow('not everything could be closed');
    expect(closed).toBe(true);
  });
});
