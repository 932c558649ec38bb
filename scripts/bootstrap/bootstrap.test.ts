/** The pure parts of the bootstrap: what a command consists of, when a checkout is prepared, how signals are handed on. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { COMMANDS } from './commands.mjs';
import { download, waysFor } from './nats.mjs';
import { pathWith, stampOf } from './prepare.mjs';
import { limiter, summaryOf } from './run.mjs';
import { nodeIsTooOld } from './versions.mjs';

describe('npm test', () => {
  const steps = (...args: string[]) => COMMANDS['test']?.(args).steps.map(({ name, run }) => [name, ...run.slice(4)].join(' '));

  it('is everything, in order, when nothing is said', () =>
    expect(steps()).toEqual(['lint', 'types', 'arrows', 'unit', 'int', 'e2e']));
  it('is the named steps', () => expect(steps('int', 'unit')).toEqual(['unit', 'int']));
  it('is the tests below a path', () =>
    expect(steps('packages/bus')).toEqual(['unit packages/bus', 'int packages/bus', 'e2e packages/bus']));
  it('is the named steps below a path, with the options of the test runner', () =>
    expect(steps('unit', 'packages/bus', '-t', 'park')).toEqual(['unit packages/bus -t park']));
  it('needs a nats-server only where servers are used', () => {
    expect(COMMANDS['test']?.(['unit']).needs).toEqual({});
    expect(COMMANDS['test']?.(['int']).needs).toEqual({ nats: 'TEST_NATS_URL' });
  });
});

describe('the stamp of a prepared checkout', () => {
  const files: Record<string, string> = {
    'pnpm-lock.yaml': 'a',
    'pnpm-workspace.yaml': 'b',
    'package.json': '{"packageManager":"pnpm@1"}',
  };
  const stamp = (changed: Record<string, string> = {}, machine = { platform: 'linux' as const, arch: 'x64' as const }) =>
    stampOf((file: string) => ({ ...files, ...changed })[file] ?? '', machine);

  it('is the same for the same', () => expect(stamp()).toBe(stamp()));
  it.each([
    { 'pnpm-lock.yaml': 'a2' },
    { 'pnpm-workspace.yaml': 'b2' },
    { 'package.json': '{"packageManager":"pnpm@2"}' },
    { 'pnpm-lock.yaml': 'a\0b', 'pnpm-workspace.yaml': '' },
  ])('changes with %j', (changed) => expect(stamp(changed)).not.toBe(stamp()));
  it('does not change with a script', () =>
    expect(stamp({ 'package.json': '{"packageManager":"pnpm@1","scripts":{}}' })).toBe(stamp()));
});

describe('ways to a nats-server', () => {
  const machine = { platform: 'linux', arch: 'x64', apt: false, brew: false, root: false, sudo: false };
  const ways = (changes: Partial<typeof machine>) => waysFor({ ...machine, ...changes }).map(({ title }) => title);

  it('on Debian as root: packages, then the release', () =>
    expect(ways({ apt: true, root: true })).toEqual([
      'apt-get install',
      'apt-get update, then install',
      expect.stringContaining('official'),
    ]));
  it('on Debian as a user: no packages without sudo', () => {
    expect(ways({ apt: true })).toEqual([expect.stringContaining('official')]);
    expect(waysFor({ ...machine, apt: true, sudo: true })[0]?.command?.slice(0, 3)).toEqual(['sudo', '-n', 'apt-get']);
  });
  it('on macOS: brew alone', () => {
    expect(ways({ platform: 'darwin', brew: true })).toEqual(['brew install']);
    expect(ways({ platform: 'darwin' })).toEqual([]);
  });
  it('on a machine without a release: none', () => expect(ways({ arch: 'riscv64' })).toEqual([]));
});

describe('the official release', () => {
  const serve = async (status: number, archive: Buffer) => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      response.writeHead(status).end(archive);
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const dir = mkdtempSync(join(tmpdir(), 'molecule-download-'));
    onTestFinished(() => {
      server.close();
      rmSync(dir, { recursive: true });
    });
    return { asked, dir, from: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  };
  const archive = () => {
    const dir = mkdtempSync(join(tmpdir(), 'molecule-archive-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const name = 'nats-server-v2.10.29-linux-test';
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'nats-server'), '#!/bin/sh\necho it runs\n');
    execFileSync('tar', ['-czf', join(dir, 'a.tar.gz'), '-C', dir, name]);
    return readFileSync(join(dir, 'a.tar.gz'));
  };
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

  it('is unpacked when its checksum is right', async () => {
    const bytes = archive();
    const { asked, dir, from } = await serve(200, bytes);
    expect(await download(dir, { arch: 'test', sha256: sha256(bytes) }, from)).toBeUndefined();
    expect(asked).toEqual(['/v2.10.29/nats-server-v2.10.29-linux-test.tar.gz']);
    expect(execFileSync(join(dir, 'nats-server'), { encoding: 'utf8' })).toBe('it runs\n');
    expect(readdirSync(dir)).toEqual(['nats-server']);
  });
  it('is thrown away when it is not', async () => {
    const { dir, from } = await serve(200, archive());
    expect(await download(dir, { arch: 'test', sha256: 'other' }, from)).toContain('not the one we know');
    expect(readdirSync(dir)).toEqual([]);
  });
  it('says why it could not be had', async () => {
    const { dir, from } = await serve(404, Buffer.from(''));
    expect(await download(dir, { arch: 'test', sha256: '' }, from)).toBe('the server answered 404');
    expect(await download(dir, { arch: 'test', sha256: '' }, 'http://127.0.0.1:1')).toMatch(/ECONNREFUSED|bad port|fetch failed/);
  });
});

it('puts the tools of the project first, and what it got itself last', () =>
  expect(pathWith(['/p/.bin', '/p/.molecule/bin', '/usr/sbin'], '/usr/bin:/p/.bin:/bin')).toBe(
    '/p/.bin:/usr/bin:/bin:/p/.molecule/bin:/usr/sbin',
  ));

it.each([
  ['18.19.0', true],
  ['20.0.0', false],
  ['24.21.0', false],
])('Node %s', (version, tooOld) => expect(nodeIsTooOld(version)).toBe(tooOld));

it('B1: hands on one signal of a burst', () => {
  let now = 0;
  const first = limiter(500, () => now);
  const at = (ms: number) => {
    now = ms;
    return first();
  };
  expect([0, 1, 499, 501, 502].map(at)).toEqual([true, false, false, true, false]);
});

describe('the closing summary', () => {
  const passed = { name: 'lint', code: 0, ms: 1200 };
  const failed = { name: 'unit', code: 1, ms: 500 };
  it('names what failed', () =>
    expect(summaryOf([passed, failed], 2)).toMatch(
      /✓ lint +1\.2 s\n.*✗ unit.*failed \(code 1\)\nfailed: unit\nsteps: 1 passed, 1 failed$/,
    ));
  it('says when all is well', () => expect(summaryOf([passed], 1)).toMatch(/all passed\nsteps: 1 passed, 0 failed$/));
  it('says when it was stopped', () => expect(summaryOf([passed], 3)).toMatch(/2 not run\nstopped\nsteps: 1 passed, 0 failed$/));
});

describe('a running step', () => {
  const start = async (script: string, args: string[] = []) => {
    const dir = mkdtempSync(join(tmpdir(), 'molecule-run-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const step = join(dir, 'step.mjs');
    writeFileSync(step, script);
    const code = `import { runAll } from ${JSON.stringify(join(import.meta.dirname, 'run.mjs'))};
      process.exitCode = await runAll({ steps: [{ name: 'x', run: ['node', ${JSON.stringify(step)}], channel: true }] }, { node: process.execPath, path: '' });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = once(child, 'exit');
    return { child, ended, output: () => output };
  };

  it('B3: ends with the code of the step', async () => {
    const { ended } = await start('process.exitCode = 7');
    expect(await ended).toEqual([7, null]);
  });

  it('B1: hears Ctrl-C once, and may take its time', async () => {
    const { child, ended, output } = await start(`
      let heard = 0;
      process.on('SIGINT', () => { heard++; setTimeout(() => { console.log('heard ' + heard); process.exit(3); }, 100); });
      setInterval(() => {}, 1000);
      console.log('ready');`);
    await expect.poll(output).toBe('ready\n');
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect(await ended).toEqual([3, null]);
    expect(output()).toBe('ready\nheard 1\n');
  });

  it('B2: notices when we are killed', async () => {
    const { child, output } = await start(`
      process.once('disconnect', () => { console.log('alone'); process.exit(0); });
      console.log('ready');`);
    await expect.poll(output).toBe('ready\n');
    child.kill('SIGKILL');
    await expect.poll(output).toBe('ready\nalone\n');
  });
});
