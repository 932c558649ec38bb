import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, normalize, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isInside, locate } from './paths.ts';

describe('P1: by its text, a path is inside the root', () => {
  it.each(['a', 'a/b', 'a/../b', '.', './a', 'a/', '...', 'a..b', '-', 'a b'])('%j is', (path) =>
    expect(isInside(path)).toBe(true),
  );
  it.each(['', '/', '/a', '..', '../a', 'a/../..', 'a/../../root2', '../root', 'a\\b', '..\\a', 'a\0b'])('%j is not', (path) =>
    expect(isInside(path)).toBe(false),
  );

  it('exactly where it leads, wherever the root is', () => {
    const part = fc.constantFrom('..', '.', 'a', 'b', '', 'root', 'templates', '...');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const path = parts.join('/');
        const root = '/srv/molecule/templates';
        const leadsTo = resolve(root, path);
        // `../templates` leads back in, but only because the root has that name: it is not inside.
        if (isInside(path)) expect(leadsTo === root || leadsTo.startsWith(root + sep)).toBe(true);
        else expect(path === '' || path.startsWith('/') || normalize(path).startsWith('..')).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('P2: on the disk, a path leads', () => {
  let base: string;
  let root: string;
  beforeAll(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'paths-')));
    root = join(base, 'root');
    await mkdir(join(root, 'a/b'), { recursive: true });
    await mkdir(join(base, 'rootbeer'));
    await writeFile(join(root, 'file'), '');
    await symlink(base, join(root, 'out'));
    await symlink(join(base, 'rootbeer'), join(root, 'beside'));
    await symlink('a', join(root, 'in'));
    await symlink('nowhere', join(root, 'dangling'));
    await symlink('loop', join(root, 'loop'));
  });
  afterAll(() => rm(base, { recursive: true }));

  it.each([
    ['a', 'a'],
    ['a/b/..', 'a'],
    ['in', 'a'],
    ['in/b', 'a/b'],
    ['out/root/a', 'a'],
  ])('%j: into the root', async (path, where) =>
    expect(await locate(root, path)).toEqual({ kind: 'directory', path: join(root, where) }),
  );
  it.each(['out', 'out/rootbeer', 'beside', '../rootbeer', '..', '/etc'])('%j: out of it', async (path) =>
    expect(await locate(root, path)).toEqual({ kind: 'outside' }),
  );
  it.each(['c', 'file', 'file/x', 'dangling', 'loop', 'x'.repeat(300), '.', 'a/..', 'out/root'])('%j: nowhere', async (path) =>
    expect(await locate(root, path)).toEqual({ kind: 'missing' }),
  );
  it('nowhere, where the root is not there', async () =>
    expect(await locate(join(base, 'no-root'), 'a')).toEqual({ kind: 'missing' }));

  it('never to a directory outside of the root, whatever the path', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('..', '.', 'a', 'b', 'out', 'in', 'beside', 'root', 'rootbeer', '/'), { maxLength: 6 }),
        async (parts) => {
          const located = await locate(root, parts.join('/'));
          if (located.kind === 'directory') expect(located.path.startsWith(root + sep)).toBe(true);
        },
      ),
      { numRuns: 300 },
    ));
});
