import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Runtimes, Templates } from '@molecule/templates';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Blueprint } from './blueprints.ts';
import { generatedConfig as generate, seedFor } from './config-source.ts';

const generatedConfig = (of: Blueprint) => generate(of, new Runtimes());

const blueprint = (change: Partial<Blueprint> = {}): Blueprint => ({
  name: 'Ada',
  role: null,
  tier: 3,
  runtime: 'hermes',
  template: '',
  model: '',
  workspaceDir: null,
  workspaceAccess: 'none',
  awarenessNamespace: '',
  ofTeam: false,
  ...change,
});

describe('the generated config.yaml (spec 3 §1.13)', () => {
  it('is written as the specification gives it', () =>
    expect(generatedConfig(blueprint({ role: 'Mathematician' }))).toBe(
      'name: "Ada"\ndescription: "Mathematician"\nversion: 1.0.0\ntier: 3\nruntime: hermes\n' +
        'model: "anthropic:claude-opus-4-7"\nruntime_config:\n  timeout: 0\n',
    ));
  it.each(['langgraph', 'deepagents'])('has no runtime_config for %s', (runtime) =>
    expect(generatedConfig(blueprint({ runtime }))).not.toContain('runtime_config'),
  );
  it('has a model of its own for claude-code', () =>
    expect(generatedConfig(blueprint({ runtime: 'claude-code' }))).toContain('model: "sonnet"'));
  it.each(['', '../../etc', 'x\nrole: admin', 'unknown'])('writes the runtime %j as langgraph', (runtime) =>
    expect(generatedConfig(blueprint({ runtime }))).toContain('\nruntime: langgraph\n'),
  );
  it('lets no text end the scalar it stands in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (name, role, model) => {
        const config = parse(generatedConfig(blueprint({ name, role, model })));
        expect(Object.keys(config)).toEqual(['name', 'description', 'version', 'tier', 'runtime', 'model', 'runtime_config']);
        expect(config.name).toBe(name.replaceAll('\r', '').replaceAll('\n', ' '));
        expect(config.tier).toBe(3);
      }),
    );
  });
});

describe('where a workspace has its configuration from (spec 3 §1.12)', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'templates-'));
    const write = async (path: string, content: string) => {
      await mkdir(join(directory, path, '..'), { recursive: true });
      await writeFile(join(directory, path), content);
    };
    await write('greeter/config.yaml', 'name: Greeter\n');
    await write('greeter/skills/greet/run.sh', '#!/bin/sh\r\necho hi\r\n');
    await write('greeter/data.bin', '\r\n');
    await write('empty/prompt.md', 'Hello');
    await write('echo-default/config.yaml', 'name: Default\n');
    await symlink('/etc', join(directory, 'elsewhere'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const seed = async (change: Partial<Blueprint>) => {
    const files = await seedFor(blueprint(change), new Templates({ configsDir: directory, orgTemplatesDir: '' }));
    return files && Object.fromEntries(files.map(({ path, data }) => [path, data.toString()]));
  };

  it('is generated without a template', async () => expect(Object.keys((await seed({})) ?? {})).toEqual(['config.yaml']));
  it('is the whole tree of the template, config.yaml last, scripts with the line ends of Unix', async () => {
    const files = (await seed({ template: 'greeter' })) ?? {};
    expect(Object.keys(files)).toEqual(['data.bin', 'skills/greet/run.sh', 'config.yaml']);
    expect(files['skills/greet/run.sh']).toBe('#!/bin/sh\necho hi\n');
    expect(files['data.bin']).toBe('\r\n');
  });
  it('is the default of the runtime where the template is not there', async () =>
    expect((await seed({ template: 'nowhere', runtime: 'echo' }))?.['config.yaml']).toBe('name: Default\n'));
  it('is generated where neither is there', async () =>
    expect((await seed({ template: 'nowhere' }))?.['config.yaml']).toContain('name: "Ada"'));
  it.each(['../outside', '/etc', 'elsewhere', '..', '.'])('is never outside the templates: %s', async (template) =>
    expect((await seed({ template }))?.['config.yaml']).toContain('name: "Ada"'),
  );
  it('is the default of the runtime where the template has none', async () =>
    expect((await seed({ template: 'empty', runtime: 'echo' }))?.['config.yaml']).toBe('name: Default\n'));
  it('is nothing where neither has one', async () => expect(await seed({ template: 'empty' })).toBeUndefined());
});
