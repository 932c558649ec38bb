/** The rules are tried on files that break them, one by one, and on the repository itself. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { check, findCircles } from './check.ts';
import { arrowsOf, readPackages, readSources } from './graph.ts';

const ours = (folder: string, doors = {}) => ({ folder, doors: { '.': './src/index.ts', ...doors } });
const packages = new Map([
  ['@molecule/contracts', ours('packages/contracts')],
  ['@molecule/bus', ours('packages/bus')],
  ['@molecule/event-store', ours('packages/event-store')],
  ['@molecule/testkit', ours('packages/testkit', { './outside': './src/outside.ts' })],
  ['@molecule/registry', ours('services/registry')],
]);
const importing = (path: string, ...specifiers: string[]) =>
  check([{ path, text: specifiers.map((specifier) => `import type { X } from '${specifier}';`).join('\n') }], packages);
const broken = (path: string, specifier: string) =>
  importing(path, specifier).map((finding) => /^ {4}([a-z-]+): /m.exec(finding)?.[1]);

describe('reading imports', () => {
  const targets = (text: string) => arrowsOf({ path: 'services/registry/src/a.ts', text }, packages).map(({ to }) => to);

  it.each([
    ["import { a } from './b.ts';", 'services/registry/src/b.ts'],
    ["import type { a } from '../b.ts';", 'services/registry/b.ts'],
    ["import {\n  type A,\n  b,\n} from 'zod';", 'zod'],
    ["import './effect.ts';", 'services/registry/src/effect.ts'],
    ["export { a } from '@molecule/bus';", 'packages/bus/src/index.ts'],
    ["export type {\n  A,\n} from '@molecule/bus';", 'packages/bus/src/index.ts'],
    ["export * from '@molecule/bus/src/private.ts';", 'packages/bus/src/private.ts'],
    ["import pg from 'pg';", 'pg'],
    ["import { x } from '@nats-io/jetstream/internal';", '@nats-io/jetstream'],
    ["  const late = await import('kysely');", 'kysely'],
    ["import { readFile } from 'node:fs/promises';", 'node:fs/promises'],
  ])('%s', (text, target) => expect(targets(text)).toEqual([target]));

  it('does not take other strings for imports', () =>
    expect(targets("export const from = 'pg';\nexport function f(x = 'y') {}\nconst text = 'import x';\n")).toEqual([]));
});

describe('an import that points where it may not', () => {
  it.each([
    ['contracts-know-nobody', 'packages/contracts/src/ids.ts', '@molecule/bus'],
    ['contracts-know-nobody', 'packages/contracts/src/ids.ts', 'node:crypto'],
    ['decisions-are-pure', 'services/registry/src/workspace/decisions.ts', '@molecule/event-store'],
    ['decisions-are-pure', 'services/registry/src/workspace/decisions.ts', '../token/token.ts'],
    ['decisions-are-pure', 'services/registry/src/workspace/decisions.ts', 'node:crypto'],
    ['services-meet-only-in-contracts', 'services/sweeper/src/service.ts', '@molecule/registry'],
    ['packages-never-know-services', 'packages/bus/src/ask.ts', '@molecule/registry'],
    ['only-deployments-compose-services', 'test-e2e/story.e2e.test.ts', '@molecule/registry'],
    ['enter-by-the-front-door', 'services/registry/src/service.ts', '@molecule/bus/src/ask.ts'],
    ['enter-by-the-front-door', 'packages/testkit/src/fixtures.ts', '../../bus/src/ask.ts'],
    ['gateway-has-no-database', 'services/gateway/src/service.ts', 'pg'],
    ['gateway-has-no-database', 'services/gateway/src/service.ts', '@molecule/event-store'],
    ['testkit-is-for-tests', 'services/registry/src/service.ts', '@molecule/testkit'],
  ])('%s: %s → %s', (rule, from, to) => expect(broken(from, to)).toContain(rule));
});

describe('an import that points the right way', () => {
  it.each([
    ['packages/contracts/src/ids.ts', 'zod'],
    ['packages/contracts/src/ids.test.ts', 'vitest'],
    ['services/registry/src/workspace/decisions.ts', '@molecule/contracts'],
    ['services/registry/src/workspace/decisions.ts', './workspace.ts'],
    ['services/registry/src/service.ts', '@molecule/event-store'],
    ['services/registry/src/service.int.test.ts', '@molecule/testkit'],
    ['deploy/embedded/src/main.ts', '@molecule/registry'],
    ['test-e2e/story.e2e.test.ts', '@molecule/testkit'],
    ['bench/main.ts', '@molecule/testkit/outside'],
  ])('%s → %s', (from, to) => expect(broken(from, to)).toEqual([]));
});

describe('circles', () => {
  const arrow = (from: string, to: string) => ({ from, to, line: 1, byDoor: false });

  it('are found at their shortest, and told once', () => {
    const arrows = [arrow('a', 'b'), arrow('b', 'c'), arrow('c', 'a'), arrow('c', 'd'), arrow('d', 'e')];
    expect(findCircles(arrows)).toEqual([['a', 'b', 'c']]);
  });

  it('are not seen where paths only meet again', () => {
    expect(findCircles([arrow('a', 'b'), arrow('a', 'c'), arrow('b', 'd'), arrow('c', 'd')])).toEqual([]);
  });
});

it('finds the files and the packages of this repository', () => {
  const root = join(import.meta.dirname, '..', '..');
  expect(readPackages(root).get('@molecule/contracts')?.folder).toBe('packages/contracts');
  const paths = readSources(root).map(({ path }) => path);
  expect(paths).toContain('scripts/arrows/check.ts');
  expect(paths.filter((path) => path.includes('node_modules'))).toEqual([]);
});
