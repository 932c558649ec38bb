import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Gate } from './gate.ts';

it('lets so many in at a time, the others in their order, and nobody is kept out by what fails inside', async () => {
  const gate = new Gate(2);
  const entered: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const pass = (name: string) => {
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    return gate.pass(() => {
      entered.push(name);
      return end.promise;
    });
  };
  const passing = ['a', 'b', 'c', 'd'].map(pass);
  const outcomes = Promise.allSettled(passing);
  await setImmediate();
  expect(entered).toEqual(['a', 'b']);
  ends.get('b')?.reject(new Error('failed inside'));
  await expect(passing[1]).rejects.toThrow('failed inside');
  await setImmediate();
  expect(entered).toEqual(['a', 'b', 'c']);
  for (const name of ['a', 'c']) ends.get(name)?.resolve();
  await Promise.all([passing[0], passing[2]]);
  ends.get('d')?.resolve();
  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(entered).toEqual(['a', 'b', 'c', 'd']);
});
