/** docs/reference/settings.md names every variable that any part reads, who reads it and its default, as the schemas have it. */
import { readFileSync } from 'node:fs';
import { TenantSource } from '@molecule/service';
import { expect, it } from 'vitest';
import type { z } from 'zod';
import { CONFIGS } from './services.ts';
import { Embedded } from './settings.ts';

const page = readFileSync(new URL('../../../docs/reference/settings.md', import.meta.url), 'utf8');

/** What reads settings beside the services: the process that holds them all, and what runs before any schema is read. */
const OTHERS = { 'all-in-one': Embedded, start: TenantSource } as const;

const EVERY_SERVICE = Object.keys(CONFIGS);

const fieldsOf = (schema: z.ZodObject): [string, z.ZodType][] => Object.entries(schema.shape) as [string, z.ZodType][];

/** As a person would write it into the environment. */
function shown(field: z.ZodType): string {
  const { success, data } = field.safeParse(undefined);
  if (!success) return 'required';
  if (data === undefined || data === '') return '—';
  if (typeof data === 'boolean') return data ? 'on' : 'off';
  if (Array.isArray(data)) return `\`${data.join(',')}\``;
  return `\`${typeof data === 'object' ? JSON.stringify(data) : String(data)}\``;
}

/** One default, or each with those who have it. The defaults of the all-in-one process depend on where it runs: the page tells them. */
function defaultOf(name: string): string {
  const byDefault = Map.groupBy(
    Object.entries(CONFIGS).flatMap(([service, schema]) =>
      fieldsOf(schema).flatMap(([field, type]) => (field === name ? [{ service, text: shown(type) }] : [])),
    ),
    ({ text }) => text,
  );
  const groups = [...byDefault];
  if (groups.length === 0) return '—';
  if (groups.length === 1) return groups[0]?.[0] ?? '';
  return groups.map(([text, who]) => `${text} (${who.map(({ service }) => service).join(', ')})`).join(', ');
}

function readersOf(name: string): string {
  const reads = ([, schema]: [string, z.ZodObject]) => Object.hasOwn(schema.shape, name);
  const services = Object.entries(CONFIGS)
    .filter(reads)
    .map(([service]) => service);
  const others = Object.entries(OTHERS)
    .filter(reads)
    .map(([reader]) => reader);
  return [...(services.length === EVERY_SERVICE.length ? ['every service'] : services), ...others].join(', ');
}

it('holds a row for each setting, and no other', () => {
  const names = new Set([...Object.values(CONFIGS), ...Object.values(OTHERS)].flatMap((schema) => Object.keys(schema.shape)));
  const expected = [...names].toSorted().map((name) => `| \`${name}\` | ${readersOf(name)} | ${defaultOf(name)} |`);
  const rows = page.split('\n').filter((line) => /^\| `[A-Z0-9_]+` \|/.test(line));
  const told = rows.map((row) => `${row.split(' | ').slice(0, 3).join(' | ')} |`);
  expect(told.toSorted()).toEqual(expected.toSorted());
  for (const row of rows) expect(row.split(' | ')[3], row).toMatch(/^.{10,}\. \|$/);
});
