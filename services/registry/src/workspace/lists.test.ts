import { describe, expect, it } from 'vitest';
import { sharing } from './lists.ts';

describe('sharing', () => {
  /** Runs that end when they are told to. */
  const runs = () => {
    const begun: PromiseWithResolvers<number>[] = [];
    const ask = sharing(() => {
      const run = Promise.withResolvers<number>();
      begun.push(run);
      return run.promise;
    });
    return { begun, ask };
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('gives who asks meanwhile the next run, begun after all of them asked', async () => {
    const { begun, ask } = runs();
    const first = ask();
    await settled();
    const meanwhile = [ask(), ask()];
    await settled();
    expect(begun).toHaveLength(1);
    begun[0]?.resolve(1);
    expect(await first).toBe(1);
    await settled();
    expect(begun).toHaveLength(2);
    begun[1]?.resolve(2);
    expect(await Promise.all(meanwhile)).toEqual([2, 2]);
  });

  it('tells a failure to those who shared it only', async () => {
    const { begun, ask } = runs();
    const first = expect(ask()).rejects.toThrow('away');
    await settled();
    const second = ask();
    begun[0]?.reject(new Error('away'));
    await first;
    await settled();
    begun[1]?.resolve(2);
    expect(await second).toBe(2);
  });
});
