/** A process is recognised by its number and its start, so that a stranger is never ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { endProcess, isAlive, markOf } from './process-mark.ts';

const sleeper = () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
  const mark = markOf(child.pid ?? -1);
  if (!mark) throw new Error('the process did not start');
  return { child, mark };
};

describe('a process mark', () => {
  it('is ours while we live', () => {
    const mark = markOf(process.pid);
    expect(mark && isAlive(mark)).toBe(true);
  });

  it('does not fit a stranger with the same number', async () => {
    const { child, mark } = sleeper();
    const stranger = { ...mark, startedAt: 'another time' };
    expect(isAlive(stranger)).toBe(false);
    await endProcess(stranger, 'SIGKILL', 100);
    expect(isAlive(mark)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('is dead once the process has ended', async () => {
    const { mark } = sleeper();
    await endProcess(mark, 'SIGTERM', 2_000);
    expect(isAlive(mark)).toBe(false);
    await endProcess(mark, 'SIGTERM', 2_000);
  });

  it('ends by force what does not heed a signal', async () => {
    const child = spawn('/bin/sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    const mark = markOf(child.pid ?? -1);
    if (!mark) throw new Error('the process did not start');
    await endProcess(mark, 'SIGTERM', 50);
    expect(isAlive(mark)).toBe(false);
  });
});
