/** `run` owns signals and the exit code, so it is tried in processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';

const index = new URL('./index.ts', import.meta.url).href;

/** Runs a program around `run(log, start)`; `say` is called with each line it prints. */
async function program(start: string, say: (line: string, child: ChildProcess) => void, options = '{}') {
  const source = `
    import { run, createLog } from ${JSON.stringify(index)};
    const log = createLog({ service: 'registry', level: 'fatal' });
    const print = (text) => process.stdout.write(text + '\\n');
    await run(log, ${start}, ${options});
    print('listeners ' + (process.listenerCount('SIGTERM') + process.listenerCount('uncaughtException')));
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) lines.push(line);
    say(line, child);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, lines };
}

const resources = `
  await scope.open(() => print('open a'), () => print('close a'));
  const timer = await scope.open(() => setInterval(() => {}, 1000), (timer) => clearInterval(timer));
`;

describe('running a service', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'R2, R3: %s closes what is open, in order, with code 0 and nothing left behind',
    async (signal) => {
      const start = `async (scope) => {${resources} await scope.open(() => {}, () => print('close b')); print('ready'); }`;
      const ended = await program(start, (line, child) => void (line === 'ready' && child.kill(signal)));
      expect(ended).toEqual({ code: 0, signal: null, lines: ['open a', 'ready', 'close b', 'close a', 'listeners 1'] });
    },
  );

  it('R1: a start that fails closes what it had opened, with code 1', async () => {
    const ended = await program(`async (scope) => {${resources} throw new Error('no'); }`, () => {});
    expect(ended).toMatchObject({ code: 1, lines: ['open a', 'close a', expect.any(String)] });
  });

  it('R2: a signal ends a start that waits for something, with code 0', async () => {
    const start = `async (scope) => {${resources} print('waiting');
      await new Promise((_, reject) => scope.signal.addEventListener('abort', () => reject(scope.signal.reason))); }`;
    const ended = await program(start, (line, child) => void (line === 'waiting' && child.kill('SIGTERM')));
    expect(ended).toMatchObject({ code: 0, lines: ['open a', 'waiting', 'close a', expect.any(String)] });
  });

  it('R2: a second signal does not wait', async () => {
    const start = `async (scope) => {${resources} await scope.open(() => {}, () => { print('closing'); return new Promise(() => {}); }); print('ready'); }`;
    const ended = await program(start, (line, child) => void (['ready', 'closing'].includes(line) && child.kill('SIGTERM')));
    expect(ended).toMatchObject({ code: 1, lines: ['open a', 'ready', 'closing'] });
  });

  it('R2: closing takes no longer than the grace', async () => {
    const start = `async (scope) => {${resources} await scope.open(() => {}, () => new Promise(() => {})); print('ready'); }`;
    const ended = await program(start, (line, child) => void (line === 'ready' && child.kill('SIGTERM')), '{ graceMs: 50 }');
    expect(ended).toMatchObject({ code: 1, lines: ['open a', 'ready'] });
  });

  it('R3: what cannot be closed makes the code 1', async () => {
    const start = `async (scope) => {${resources} await scope.open(() => {}, () => { throw new Error('stuck'); }); print('ready'); }`;
    const ended = await program(start, (line, child) => void (line === 'ready' && child.kill('SIGTERM')));
    expect(ended).toMatchObject({ code: 1, lines: ['open a', 'ready', 'close a', expect.any(String)] });
  });

  it('R4: survives a rejection nobody awaited, and stops in order on an exception nobody caught', async () => {
    const start = `async (scope) => {${resources}
      Promise.reject(new Error('forgotten'));
      setTimeout(() => print('still here'), 10);
      setTimeout(() => { throw new Error('uncaught'); }, 20);
    }`;
    const ended = await program(start, () => {});
    expect(ended).toMatchObject({ code: 1, lines: ['open a', 'still here', 'close a', expect.any(String)] });
  });
});
