import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { templateDirectories } from './directories.ts';
import type { RestartWish } from './restart.ts';
import { Runtimes } from './runtimes.ts';
import { Templates } from './templates.ts';

let base: string;
let templates: Templates;
const at = (path: string) => join(base, path);
const write = async (path: string, content: string) => {
  await mkdir(at(join(path, '..')), { recursive: true });
  await writeFile(at(path), content);
};

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'templates-')));
  await write('configs/hermes-default/config.yaml', 'runtime: hermes\nruntime_config: { provision_timeout_seconds: 60 }');
  await write('configs/slow/config.yaml', 'name: Slow\nruntime: hermes\nruntime_config: { provision_timeout_seconds: 900 }');
  await write('configs/ws-import/config.yaml', 'name: Team Two\nruntime: codex');
  await write('configs/team-b/config.yaml', 'name: team two\nruntime: codex\nsub_workspaces: [{ config: slow }]');
  await write('configs/broken/config.yaml', 'a: [b');
  await write('configs/large/config.yaml', `name: x\n# ${'x'.repeat(300 * 1024)}`);
  await write('configs/bare/prompt.md', 'hello');
  await mkdir(at('configs/folder/config.yaml'), { recursive: true });
  await mkdir(at('configs/pipe'));
  execFileSync('mkfifo', [at('configs/pipe/config.yaml')]);
  await write('configs/org-templates/inner/config.yaml', 'name: Inner Org');
  await write('orgs/acme/org.yaml', 'name: Acme');
  await write('orgs/zeta/config.yaml', 'name: Zeta Corp');
  await write('elsewhere/config.yaml', 'name: Elsewhere\nruntime_config: { provision_timeout_seconds: 5000 }\nruntime: hermes');
  await symlink(at('elsewhere'), at('configs/link'));
  templates = new Templates({ configsDir: at('configs'), orgTemplatesDir: at('orgs') });
});
afterAll(() => rm(base, { recursive: true }));

describe('the templates', () => {
  it('T1, T2: are the directories whose configuration can be read, in order, and nothing outside of the root', async () =>
    expect((await templates.list()).map(({ id }) => id)).toEqual(['hermes-default', 'slow', 'team-b', 'ws-import']));

  it('are none where their directory cannot be read', async () =>
    expect(await new Templates({ configsDir: at('nowhere'), orgTemplatesDir: '' }).list()).toEqual([]));

  it.each([
    ['broken', 'unparsed'],
    ['large', 'unread'],
    ['folder', 'unread'],
    ['pipe', 'unread'],
    ['bare', 'absent'],
    ['nowhere', 'absent'],
    ['link', 'absent'],
    ['../elsewhere', 'absent'],
  ])('%s cannot be read: %s', (template, reason) => expect(templates.read(template)).rejects.toMatchObject({ reason }));

  it('T3: declare for each runtime the longest timeout, once for as long as the process lives', async () => {
    const expected = new Map([['hermes', 900]]);
    expect(await templates.provisionTimeouts()).toEqual(expected);
    await write('configs/later/config.yaml', 'runtime: hermes\nruntime_config: { provision_timeout_seconds: 9000 }');
    expect(await templates.provisionTimeouts()).toEqual(expected);
    await rm(at('configs/later'), { recursive: true });
  });
});

describe('the template of a team', () => {
  it('is the one of its normal name', async () => expect((await templates.ofTeam('Team B'))?.name).toBe('team two'));
  it('else the one of its very name', async () => expect((await templates.ofTeam('Slow'))?.runtime).toBe('hermes'));
  it('is none for another writing of the name', async () => expect(await templates.ofTeam('TEAM TWO')).toBeUndefined());
  it('is refused where it is there and cannot be read', async () => {
    await expect(templates.ofTeam('Broken')).rejects.toMatchObject({ reason: 'unparsed' });
    await expect(templates.ofTeam('Folder')).rejects.toMatchObject({ reason: 'unread' });
  });
});

describe('what a restart takes the configuration from', () => {
  const wish: RestartWish = { name: 'nobody', runtime: 'codex', template: '', applyTemplate: false, rebuildConfig: false };
  it.each<[string, Partial<RestartWish>, string, string | null]>([
    ['the template that is named', { template: 'slow', applyTemplate: true, name: 'team b' }, 'slow', 'configs/slow'],
    ['not one that is not there', { template: 'nowhere' }, 'existing-volume', null],
    ['not one outside of the root', { template: '../elsewhere' }, 'existing-volume', null],
    ['not one that a link leads out to', { template: 'link' }, 'existing-volume', null],
    ['not the root itself', { template: '.' }, 'existing-volume', null],
    ['the directory of its name', { applyTemplate: true, name: 'Hermes Default' }, 'hermes-default', 'configs/hermes-default'],
    ['the configuration of its name', { applyTemplate: true, name: 'TEAM TWO' }, 'team-b', 'configs/team-b'],
    ['no name that is a path', { applyTemplate: true, name: '../elsewhere' }, 'existing-volume', null],
    ['an organisation by its directory', { rebuildConfig: true, name: 'ACME' }, 'org-templates/acme', 'orgs/acme'],
    ['an organisation by its name', { rebuildConfig: true, name: 'zeta corp' }, 'org-templates/zeta', 'orgs/zeta'],
    ['one below the templates', { rebuildConfig: true, name: 'inner' }, 'org-templates/inner', 'configs/org-templates/inner'],
    [
      'an organisation before the default',
      { applyTemplate: true, rebuildConfig: true, name: 'acme', runtime: 'hermes' },
      'org-templates/acme',
      'orgs/acme',
    ],
    ['the default of its runtime', { applyTemplate: true, runtime: ' hermes' }, 'hermes-default', 'configs/hermes-default'],
    ['no default that is not there', { applyTemplate: true, runtime: 'codex' }, 'existing-volume', null],
    ['no runtime that is a path', { applyTemplate: true, runtime: '../configs/hermes' }, 'existing-volume', null],
    ['nothing without a wish', { name: 'slow', runtime: 'hermes' }, 'existing-volume', null],
  ])('%s', async (_what, differs, label, directory) => {
    const source = await templates.forRestart({ ...wish, ...differs });
    expect(source).toEqual({ label, directory: directory === null ? null : at(directory) });
    expect(await templates.directoryOf(source.label)).toBe(source.directory);
  });
});

describe('the runtimes', () => {
  it.each([
    ['langgraph', 'langgraph'],
    [' hermes ', 'hermes'],
    ['external', 'external'],
    ['echo', 'echo'],
    ['', 'langgraph'],
    ['Hermes', 'langgraph'],
    ['../etc', 'langgraph'],
    ['constructor', 'langgraph'],
  ])('%j is %j', (given, coerced) => expect(new Runtimes().coerce(given)).toBe(coerced));

  it('are those of the manifest, and the two that need no image', async () => {
    await write(
      'manifest.json',
      JSON.stringify({ workspace_templates: [{ name: ' mine-default ' }, { name: 'crewai' }, { name: '-default' }] }),
    );
    const runtimes = await Runtimes.read(at('manifest.json'));
    expect([...runtimes.known]).toEqual(['mine', 'crewai', 'external', 'echo']);
    expect(runtimes.manifest).toBe(at('manifest.json'));
    expect(runtimes.coerce('hermes')).toBe('langgraph');
  });

  it('are the usual ones where the manifest is missing or malformed', async () => {
    await write('bad.json', '{"workspace_templates":{}}');
    const settings = { CONFIGS_DIR: at('configs'), ORG_TEMPLATES_DIR: '', WORKSPACE_MANIFEST_PATH: at('bad.json') };
    const warnings: string[] = [];
    await Templates.open(settings, (message) => warnings.push(message));
    expect(warnings).toEqual([expect.stringContaining('WORKSPACE_MANIFEST_PATH')]);
    for (const path of ['bad.json', 'nowhere.json']) expect((await Runtimes.read(at(path))).known).toEqual(new Runtimes().known);
  });
});

describe('where templates are', () => {
  const unset = { CONFIGS_DIR: '', ORG_TEMPLATES_DIR: '' };
  it('is what the settings say', async () =>
    expect(await templateDirectories({ CONFIGS_DIR: '/a', ORG_TEMPLATES_DIR: '/b' })).toEqual({
      configsDir: '/a',
      orgTemplatesDir: '/b',
    }));
  it('is what comes with Molecule', async () => {
    const { configsDir } = await templateDirectories(unset);
    const shipped = new Templates({ configsDir, orgTemplatesDir: '' });
    expect((await shipped.list()).map(({ id }) => id)).toContain('echo');
  });
  it('of organisations is beside the templates', async () => {
    await mkdir(at('org-templates'));
    expect((await templateDirectories({ ...unset, CONFIGS_DIR: at('configs') })).orgTemplatesDir).toBe(at('org-templates'));
  });
});
