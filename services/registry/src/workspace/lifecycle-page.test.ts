/** docs/reference/lifecycle.md shows every transition there is, and none that is not. */
import { readFileSync } from 'node:fs';
import { WORKSPACE_STATUSES } from '@molecule/contracts';
import { expect, it } from 'vitest';
import { EVERY_LIVE, ROWS } from './status.fixtures.ts';

const page = readFileSync(new URL('../../../../docs/reference/lifecycle.md', import.meta.url), 'utf8');
const section = (title: string) => page.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
const rows = (title: string) =>
  section(title)
    .split('\n')
    .filter((line) => /^\| (`|any)/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

/** `any`, `any but …`, or those that are named. */
const sourcesOf = (cell: string): readonly string[] =>
  cell.startsWith('any') ? EVERY_LIVE.filter((status) => !names(cell).includes(status)) : names(cell);

it('has the transitions of the machine', () => {
  const shown = rows('Transitions').flatMap(([from = '', to = '', reason = '', event = '']) =>
    sourcesOf(from).map((source) => [`${source} → ${names(to)[0]} (${names(reason)[0]})`, names(event)[0] ?? 'none']),
  );
  expect(shown).toHaveLength(Object.keys(ROWS).length);
  expect(Object.fromEntries(shown)).toEqual(ROWS);
});

it('explains every status', () =>
  expect(rows('Statuses').map(([status = '']) => names(status)[0])).toEqual([...WORKSPACE_STATUSES]));
