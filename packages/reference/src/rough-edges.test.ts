/** `docs/reference/rough-edges.md` names tests: each is where it says. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
const rows = read('docs/reference/rough-edges.md')
  .split('\n')
  .flatMap((line) => {
    const [, number, , , shownBy] = line.split(/ ?\| ?/);
    return number !== undefined && /^\d+$/.test(number) ? [{ number: Number(number), shownBy: shownBy ?? '' }] : [];
  });

it('has all of them, in order', () =>
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, n) => n + 1)));

it.each(rows)('names tests for #$number that there are', ({ shownBy }) => {
  const named = [...shownBy.matchAll(/`([^`]+)` “([^”]+)”/g)];
  expect(named.length).toBeGreaterThan(0);
  for (const [, path = '', title = ''] of named) expect(read(path)).toContain(title);
});
