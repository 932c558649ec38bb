/** A program in the foreground: its code is ours, and it is told what we are told. */
import process from 'node:process';
import { expect, it } from 'vitest';
import { runInForeground } from './up.ts';

const run = (code: string) => runInForeground(process.execPath, ['-e', code], process.env);

it('ends with the code of the program', async () => {
  expect(await run('process.exit(7)')).toBe(7);
  await expect(runInForeground('/no/such/program', [], {})).rejects.toThrow('cannot run /no/such/program');
});

it('hands signals on, and listens no longer when it is over', async () => {
  const before = process.listenerCount('SIGTERM');
  const running = run(
    "process.on('SIGTERM', () => process.exit(3)); process.kill(process.ppid, 'SIGTERM'); setInterval(() => {}, 1000)",
  );
  expect(await running).toBe(3);
  expect(process.listenerCount('SIGTERM')).toBe(before);
});
