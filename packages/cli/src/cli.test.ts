/** How the command line is understood, and what is said when it is not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { COMMANDS, helpOf, main } from './cli.ts';
import { recorded } from './testing/terminal.ts';
import { findTarget, homeOf, runningHere } from './where.ts';

describe('molecule', () => {
  it.each([[[]], [['help']], [['--help']], [['-h']]])('%j lists every command', async (args) => {
    const terminal = recorded();
    expect(await main(args, terminal)).toBe(0);
    for (const { name, summary } of COMMANDS)
      expect(terminal.lines.join('\n')).toMatch(new RegExp(`^ {2}${name} .*${summary.slice(0, 20)}`, 'm'));
  });

  it.each(['version', '--version'])('%s says which', async (command) => {
    const terminal = recorded();
    expect(await main([command], terminal)).toBe(0);
    expect(terminal.lines).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  });

  it.each([[['fly']], [['help', 'fly']]])('%j: no such command', async (args) => {
    const terminal = recorded();
    expect(await main(args, terminal)).toBe(2);
    expect(terminal.notes[0]).toContain('there is no command "fly"');
    expect(terminal.notes.join('\n')).toContain('molecule <command>');
    expect(terminal.lines).toEqual([]);
  });

  it.each([
    [['rebuild', '--chekc'], "Unknown option '--chekc'"],
    [['rebuild', '--service'], "Option '--service <value>' argument missing"],
    [['status', 'now'], "Unexpected argument 'now'"],
  ])('%j: not understood, and says how it would be', async (args, said) => {
    const terminal = recorded();
    expect(await main(args, terminal)).toBe(2);
    expect(terminal.notes[0]).toContain(said);
    expect(terminal.notes.join('\n')).toContain(`molecule ${args[0]}`);
  });

  it('each command explains itself', async () => {
    for (const command of COMMANDS) {
      const terminal = recorded();
      expect(await main([command.name, '--help'], terminal)).toBe(0);
      expect(terminal.lines).toEqual(helpOf(command));
    }
  });
});

describe('where Molecule is', () => {
  const home = async (content: string) => {
    const dir = await mkdtemp(join(tmpdir(), 'molecule-cli-'));
    onTestFinished(() => rm(dir, { recursive: true }));
    await writeFile(join(dir, 'run.json'), content);
    return { MOLECULE_HOME: dir };
  };
  const running = (pid: number) => JSON.stringify({ url: 'http://127.0.0.1:1234/', pid, backend: 'process' });

  it('is what was said on the command line, then in the environment', async () => {
    const env = { ...(await home(running(process.pid))), MOLECULE_URL: 'http://env:1' };
    expect((await findTarget(env, 'http://given:1/')).url).toBe('http://given:1');
    expect((await findTarget(env, undefined)).url).toBe('http://env:1');
  });

  it('is what a running Molecule wrote down, and not what a dead one did', async () => {
    const env = await home(running(process.pid));
    expect(await findTarget({ ...env, ADMIN_TOKEN: 'root' }, undefined)).toMatchObject({
      url: 'http://127.0.0.1:1234',
      adminToken: 'root',
    });
    expect(await runningHere(env)).toMatchObject({ backend: 'process' });
    expect(await runningHere(await home(running(2 ** 30)))).toBeUndefined();
    expect(await runningHere(await home('{'))).toBeUndefined();
    expect(await runningHere(await home('{"pid":1}'))).toBeUndefined();
  });

  it('is the port it would have, else', async () => {
    const nowhere = { MOLECULE_HOME: '/nowhere' };
    expect((await findTarget(nowhere, undefined)).url).toBe('http://127.0.0.1:8080');
    expect((await findTarget({ ...nowhere, PORT: '9000' }, undefined)).url).toBe('http://127.0.0.1:9000');
    expect((await findTarget({ ...nowhere, PORT: '0' }, undefined)).url).toBe('http://127.0.0.1:8080');
  });

  it('keeps its data in .molecule of the checkout, or where it was told', () => {
    expect(homeOf({})).toMatch(/\/\.molecule$/);
    expect(homeOf({ MOLECULE_HOME: '/data' })).toBe('/data');
  });
});
