/** `molecule up` becomes the program it starts. In a process of its own, for ours would be gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const UP = fileURLToPath(new URL('./up.ts', import.meta.url));

/** Runs `code` by way of `become`, from a process that listens to signals as the command line does. */
function start(code: string) {
  const script = `
    process.once('SIGTERM', () => {});
    const { become } = await import(${JSON.stringify(UP)});
    become(process.execPath, ['-e', ${JSON.stringify(code)}], { ...process.env, GONE: undefined, SAID: 'hello' });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

it('is that program from then on: its process id, its environment, its exit code', async () => {
  const child = start("process.stdout.write(process.pid + ' ' + process.env.SAID); process.exitCode = 7");
  const said = text(child.stdout);
  const [code] = await once(child, 'exit');
  expect([await said, code]).toEqual([`${child.pid} hello`, 7]);
});

it('and signals reach it', async () => {
  const child = start("process.on('SIGTERM', () => process.exit(3)); process.stdout.write('up'); setInterval(() => {}, 1000)");
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([3, null]);
});
