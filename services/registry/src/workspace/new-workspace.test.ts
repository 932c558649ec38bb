import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAllowedDirectory, NewWorkspaceBody, parseNewWorkspace, textProblem } from './new-workspace.ts';

const parse = (body: object) => parseNewWorkspace(NewWorkspaceBody.parse({ name: 'atlas', ...body }));

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
    { canvas: { x: 'a' } },
  ])('is no payload with %j', (body) => expect(NewWorkspaceBody.safeParse({ name: 'atlas', ...body }).success).toBe(false));

  it.each<[object, string]>([
    [{ name: 'ä'.repeat(128) }, 'invalid workspace fields'],
    [{ name: 'a\nb' }, 'invalid workspace fields'],
    [{ role: 'a|b' }, 'invalid workspace fields'],
    [{ model: 'x'.repeat(101) }, 'invalid workspace fields'],
    [{ runtime: 'a\rb', template: '../x' }, 'invalid workspace fields'],
    [{ template: '../x' }, 'invalid template'],
    [{ template: '/etc' }, 'invalid template'],
    [{ template: 'a/../../b', runtime: 'r', model: 'm' }, 'invalid template'],
    [{ workspace_dir: 'relative' }, 'invalid workspace directory'],
    [{ workspace_dir: '/etc' }, 'invalid workspace directory'],
    [{ workspace_dir: '//usr//local' }, 'invalid workspace directory'],
    [{ workspace_dir: '/home/../etc' }, 'invalid workspace directory'],
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
