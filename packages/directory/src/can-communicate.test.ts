import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canCommunicate, MAX_HOPS } from './can-communicate.ts';

/** `{ child: parent }`, `null` for a root. */
const lookupIn = (parents: Readonly<Record<string, string | null>>) => (workspaceId: string) => {
  const parentId = Object.hasOwn(parents, workspaceId) ? parents[workspaceId] : undefined;
  return parentId === undefined ? undefined : { parentId };
};
const both = (parents: Record<string, string | null>, a: string, b: string) => [
  canCommunicate(lookupIn(parents), a, b),
  canCommunicate(lookupIn(parents), b, a),
];

/** root > a > (b > d > f, c > e); root2 > z */
const family = { root: null, a: 'root', b: 'a', c: 'a', d: 'b', e: 'c', f: 'd', root2: null, z: 'root2' };
const YES = [true, true];
const NO = [false, false];

describe('who may talk to whom (spec 1 §5)', () => {
  it.each([
    ['oneself', 'b', 'b', YES],
    ['oneself, even unknown', 'nobody', 'nobody', YES],
    ['nobody that is unknown', 'b', 'nobody', NO],
    ['siblings', 'b', 'c', YES],
    ['two roots', 'root', 'root2', YES],
    ['parent and child', 'a', 'b', YES],
    ['grandparent and grandchild', 'a', 'd', YES],
    ['the root and everybody below', 'root', 'f', YES],
    ['no cousins', 'd', 'e', NO],
    ['no uncle and nephew', 'c', 'd', NO],
    ['no members of different trees', 'a', 'z', NO],
    ['no root with a member of another tree', 'root2', 'a', NO],
  ])('%s', (_, a, b, answer) => expect(both(family, a, b)).toEqual(answer));

  it('looks for ancestors no farther than 32 hops', () => {
    const chain = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`w${n}`, n === 0 ? null : `w${n - 1}`]));
    expect(both(chain, 'w0', `w${MAX_HOPS}`)).toEqual(YES);
    expect(both(chain, 'w0', `w${MAX_HOPS + 1}`)).toEqual(NO);
  });

  it('ends in a circle', () => {
    expect(both({ a: 'b', b: 'c', c: 'a', x: null }, 'a', 'x')).toEqual(NO);
    expect(both({ a: 'a', x: 'a' }, 'a', 'x')).toEqual(YES);
  });

  it('is false where the line upwards is broken', () => expect(both({ a: null, c: 'lost', d: 'c' }, 'a', 'd')).toEqual(NO));

  it('agrees with the sentences of the specification, in any forest', () => {
    const forest = fc
      .array(fc.option(fc.nat()), { minLength: 2, maxLength: 60 })
      .map((picks) => Object.fromEntries(picks.map((pick, n) => [`w${n}`, pick === null || n === 0 ? null : `w${pick % n}`])));
    fc.assert(
      fc.property(forest, fc.nat(), fc.nat(), (parents, i, j) => {
        const names = [...Object.keys(parents), 'nobody'];
        const [a, b] = [names[i % names.length] ?? '', names[j % names.length] ?? ''];
        expect(canCommunicate(lookupIn(parents), a, b)).toBe(bySentence(parents, a, b));
        expect(both(parents, a, b)[0]).toBe(both(parents, a, b)[1]);
      }),
      { numRuns: 500 },
    );
  });
});

/** The six sentences, one after the other, without a thought for cost. */
function bySentence(parents: Record<string, string | null>, a: string, b: string): boolean {
  if (a === b) return true;
  const [pa, pb] = [parents[a], parents[b]];
  if (pa === undefined || pb === undefined) return false;
  if (pa !== null && pa === pb) return true;
  if (pa === null && pb === null) return true;
  if (pb === a || pa === b) return true;
  const ancestors = (of: string) => {
    const found: string[] = [];
    for (let up = parents[of] ?? null; up !== null && found.length < 32; up = parents[up] ?? null) found.push(up);
    return found;
  };
  return ancestors(b).includes(a) || ancestors(a).includes(b);
}
