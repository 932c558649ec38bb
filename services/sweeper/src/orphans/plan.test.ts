import type { ManagedResource } from '@molecule/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidates, planReaps, type RowAnswer } from './plan.ts';

const now = Date.parse('2026-03-02T09:00:00Z');
const graceMs = 60_000;
const resource = (change: Partial<ManagedResource> = {}): ManagedResource => ({
  prefix: '0b6c2f53-6d5',
  running: true,
  installation: 'ours',
  createdAt: '2026-03-02T08:00:00Z',
  ...change,
});
const plan = (resources: ManagedResource[], rows: RowAnswer[], firstSeen = new Map<string, number>()) =>
  planReaps(resources, rows, { now, graceMs, firstSeen });
const row = (state: RowAnswer['state'], prefix = '0b6c2f53-6d5'): RowAnswer => ({ prefix, state });

describe('a labelled resource', () => {
  it('without a row is reaped', () => expect(plan([resource()], [row('absent')])).toMatchObject([{ cause: 'no-row' }]));
  it('of a removed workspace is reaped, however young', () =>
    expect(plan([resource({ createdAt: '2026-03-02T08:59:59Z' })], [row('removed')])).toMatchObject([{ cause: 'removed-row' }]));
  it('with a row is left alone', () => expect(plan([resource()], [row('live')])).toEqual([]));
  it('about which the registry said nothing is left alone', () => expect(plan([resource()], [])).toEqual([]));
  it('without a row is left alone within its grace', () =>
    expect(plan([resource({ createdAt: '2026-03-02T08:59:30Z' })], [row('absent')])).toEqual([]));
  it('of unknown age has its grace from when it was first seen', () => {
    const young = resource({ createdAt: null });
    expect(plan([young], [row('absent')], new Map([[young.prefix, now - 10]]))).toEqual([]);
    expect(plan([young], [row('absent')], new Map([[young.prefix, now - graceMs]]))).toMatchObject([{ cause: 'no-row' }]);
  });
});

describe('the registry is asked about', () => {
  it.each([
    ['ours', 'ours', 1],
    ['one with the bare label', null, 1],
    ['one of another installation', 'theirs', 0],
  ])('%s: %j', (_, installation, count) => expect(candidates([resource({ installation })], 'ours')).toHaveLength(count));

  it.each(['monorepo', '%', '0b6c_', '', '-', '0B6C', '0b6c/../x'])(
    'nothing that could not be a workspace id, such as %j',
    (prefix) => expect(candidates([resource({ prefix })], 'ours')).toEqual([]),
  );
});

it('never reaps what has a live row, whatever else is there', () => {
  const prefix = fc.constantFrom('a1', 'b2', 'c3');
  const state = fc.constantFrom('absent', 'removed', 'live') as fc.Arbitrary<RowAnswer['state']>;
  fc.assert(
    fc.property(
      fc.array(prefix),
      fc.uniqueArray(fc.record({ prefix, state }), { selector: (answer) => answer.prefix }),
      (prefixes, rows) => {
        const reaped = plan(
          prefixes.map((one) => resource({ prefix: one })),
          rows,
        ).map((reap) => reap.prefix);
        for (const { prefix: live } of rows.filter((answer) => answer.state === 'live')) expect(reaped).not.toContain(live);
      },
    ),
  );
});
