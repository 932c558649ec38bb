/** docs/reference/events.md says of every event, and of every gap, what the contracts say. */
import { readFileSync } from 'node:fs';
import { CANVAS_EVENTS, type CanvasEventContract, GAP_REASONS, LiveEvent } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const page = readFileSync(new URL('../../../docs/reference/events.md', import.meta.url), 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| `'));

type Shape = { readonly properties?: object; readonly required?: readonly string[]; readonly anyOf?: readonly Shape[] };

/** Alternatives behind `or`; what may be absent with a `?`. */
function keysOf({ anyOf, properties = {}, required = [] }: Shape): string {
  if (anyOf !== undefined) return anyOf.map(keysOf).join(' or ');
  const keys = Object.keys(properties).map((key) => `\`${key}\`${required.includes(key) ? '' : '?'}`);
  return keys.length === 0 ? 'nothing' : keys.join(', ');
}

describe('the page of events', () => {
  it('holds a row for each event of the wire: its kind, when it is said, what it carries', () => {
    const expected = Object.entries(CANVAS_EVENTS as Readonly<Record<string, CanvasEventContract>>).map(
      ([event, { kind, when, payload }]) =>
        `| \`${event}\` | ${kind === 'log' ? 'P' : 'B'} | ${when} | ${keysOf(z.toJSONSchema(payload) as Shape)} |`,
    );
    expect(rows.filter((row) => /^\| `[A-Z0-9_]+` \| [PB] /.test(row))).toEqual(expected);
  });

  it('has every event that is said live', () => {
    const live = Object.entries(CANVAS_EVENTS).flatMap(([event, { kind }]) => (kind === 'live' ? [event] : []));
    expect(LiveEvent.shape.event.options.toSorted()).toEqual(live.toSorted());
  });

  it('holds a row for each reason of a gap', () => {
    const expected = Object.entries(GAP_REASONS).map(([reason, sentence]) => `| \`${reason}\` | ${sentence} |`);
    expect(rows.filter((row) => /^\| `[a-z-]+` \| /.test(row))).toEqual(expected);
  });
});
