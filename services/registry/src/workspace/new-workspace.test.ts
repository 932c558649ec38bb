import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAllowedDirectory, NewWorkspaceBody, parseNewWorkspace, type TemplateSays, textProblem } from './new-workspace.ts';

const parse = (body: object, says: TemplateSays = { runtime: '', model: '' }) =>
  parseNewWorkspace(NewWorkspaceBody.parse({ name: 'atlas', ...body }), says);

describe('the body of a new workspace', () => {
  it('has the defaults of the specification', () =>
    expect(parse({ role: null, tier: null, canvas: null })).toMatchObject({
      role: null,
      tier: 3,
      runtime: 'langgraph',
      external: false,
      maxConcurrentTasks: 1,
      budgetLimit: null,
      workspaceAccess: 'none',
      canvas: { x: 0, y: 0 },
    }));

  it.each([
    { name: '' },
    { name: null },
    { name: 1 },
    { tier: 1.5 },
    { tier: 2 ** 40 },
    { secrets: { A: 1 } },
    { secrets: JSON.parse('{"__proto__":"x","A":"y"}') },
    { canvas: { x: 'a' } },
  ])('is no payload with %j', (body) => expect(NewWorkspaceBody.safeParse({ name: 'atlas', ...body }).success).toBe(false));

  it.each<[object, string]>([
    [{ name: 'ä'.repeat(128) }, 'invalid workspace fields'],
    [{ name: 'a\nb' }, 'invalid workspace fields'],
    [{ role: 'a|b' }, 'invalid workspace fields'],
    [{ model: 'x'.repeat(101) }, 'invalid workspace fields'],
    [{ workspace_dir: 'relative' }, 'invalid workspace directory'],
    [{ workspace_dir: '/etc' }, 'invalid workspace directory'],
    [{ workspace_dir: '//usr//local' }, 'invalid workspace directory'],
    [{ workspace_dir: '/home/../etc' }, 'invalid workspace directory'],
    [{ workspace_dir: '/' }, 'invalid workspace directory'],
    [{ workspace_dir: '//./' }, 'invalid workspace directory'],
    [{ workspace_dir: '/run/docker.sock' }, 'invalid workspace directory'],
    [{ workspace_access: 'all' }, 'invalid workspace access'],
    [{ workspace_access: 'read_only' }, 'invalid workspace access'],
    [{ parent_id: 'nobody' }, 'failed to create workspace'],
  ])('%j is refused as %s', (body, text) => expect(() => parse(body)).toThrow(text));

  it.each<[object, object]>([
    [
      { workspace_dir: '/home/me', workspace_access: 'read_write' },
      { workspaceDir: '/home/me', workspaceAccess: 'read_write' },
    ],
    [{ workspace_dir: '/etcetera' }, { workspaceDir: '/etcetera' }],
    [
      { runtime: 'external', url: 'http://x' },
      { external: true, runtime: 'external', url: 'http://x' },
    ],
    [{ external: true }, { external: true, runtime: 'external' }],
    [{ url: 'http://x' }, { external: false, url: '' }],
    [
      { max_concurrent_tasks: -1, tier: 2 },
      { maxConcurrentTasks: 1, tier: 2 },
    ],
    [{ template: 'a/../b' }, { template: 'a/../b' }],
  ])('%j is taken as %j', (body, expected) => expect(parse(body)).toMatchObject(expected));
});

describe('what a template says', () => {
  const says = { runtime: 'hermes', model: 'm' };
  it.each<[object, object]>([
    [{}, { runtime: 'hermes', model: 'm' }],
    [{ runtime: 'echo' }, { runtime: 'echo', model: 'm' }],
    [{ model: 'mine' }, { runtime: 'hermes', model: 'mine' }],
    [{ external: true }, { runtime: 'external', external: true }],
  ])('counts where %j says nothing', (body, expected) =>
    expect(parse({ template: 't', ...body }, says)).toMatchObject({ template: 't', tier: 3, name: 'atlas', ...expected }),
  );

  it('makes an external workspace of an external runtime', () =>
    expect(parse({ url: 'http://x' }, { runtime: 'external', model: '' })).toMatchObject({ external: true, url: 'http://x' }));

  it('does not count when nobody could have asked for it', () =>
    expect(parse({}, { runtime: 'x\ny', model: 'm'.repeat(101) })).toMatchObject({ runtime: 'langgraph', model: '' }));

  it.each<[object, string]>([
    [{ runtime: 'a\rb' }, 'invalid workspace fields'],
    [{ runtime: 'r', model: 'm' }, 'invalid template'],
    [{ workspace_dir: '/etc' }, 'invalid template'],
  ])('is refused from outside of the templates, with %j as %s', (body, text) =>
    expect(() => parse(body, 'outside')).toThrow(text),
  );
});

describe('texts', () => {
  it.each<[Parameters<typeof textProblem>[0], string | null]>([
    [{ name: 'x'.repeat(256) }, 'name must be at most 255 characters'],
    [{ role: 'x'.repeat(1001) }, 'role must be at most 1000 characters'],
    [{ runtime: 'x'.repeat(101) }, 'runtime must be at most 100 characters'],
    [{ role: 'a\nb' }, 'role must not contain newline characters'],
    [{ name: 'a{b' }, 'name contains invalid characters'],
    [{ runtime: 'a{b', role: null }, null],
  ])('%j: %s', (fields, problem) => expect(textProblem(fields)).toBe(problem));
});

it('never allows a directory below a system one, however it is written', () =>
  fc.assert(
    fc.property(
      fc.constantFrom('/etc', '/var', '/usr', '/lib'),
      fc.array(fc.constantFrom('/', '/.', '/a', '/..'), { maxLength: 6 }),
      (system, rest) => {
        const path = system + rest.join('');
        if (!path.includes('..')) expect(isAllowedDirectory(path)).toBe(false);
      },
    ),
  ));
