import { Lineage, type MessageId, type WorkspaceId } from '@molecule/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, type OpenCall, originOf } from './lineage.ts';
import { circle, tooDeep } from './refused.ts';

const id = (n: number) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
const [a, b, c, d] = [1, 2, 3, 4].map(id) as [WorkspaceId, WorkspaceId, WorkspaceId, WorkspaceId];
const [m0, m1, m2, m3] = [10, 11, 12, 13].map(id) as [MessageId, MessageId, MessageId, MessageId];
const next = (callerId: WorkspaceId, targetId: WorkspaceId) => ({ messageId: m3, callerId, targetId });

/** A person calls A; A calls B; B calls C. */
const toA: OpenCall = { messageId: m0, workspaceId: a };
const toB: OpenCall = { messageId: m1, workspaceId: b, lineage: { rootId: m0, parentId: m0, depth: 1, ancestors: [a] } };
const toC: OpenCall = { messageId: m2, workspaceId: c, lineage: { rootId: m0, parentId: m1, depth: 2, ancestors: [a, b] } };

describe('the lineage of a call', () => {
  it('J4: begins anew where nothing is open at the caller', () =>
    expect(judge(next(a, b), [], 16)).toEqual({ lineage: { rootId: m3, parentId: null, depth: 1, ancestors: [a] } }));
  it('goes on from the call that is open there', () => {
    expect(judge(next(a, b), [toA], 16)).toEqual({ lineage: { rootId: m0, parentId: m0, depth: 1, ancestors: [a] } });
    expect(judge(next(c, d), [toC], 16)).toEqual({ lineage: { rootId: m0, parentId: m2, depth: 3, ancestors: [a, b, c] } });
  });
  it('J2: is refused where it would close a circle', () => {
    expect(judge(next(b, a), [toB], 16)).toEqual({ refused: 'cycle', chain: [a, b, a] });
    expect(judge(next(c, a), [toC], 16)).toEqual({ refused: 'cycle', chain: [a, b, c, a] });
    expect(judge(next(c, b), [toC], 16)).toEqual({ refused: 'cycle', chain: [a, b, c, b] });
  });
  it('J2: comes from the deepest call that closes none', () => {
    const other: OpenCall = { messageId: m3, workspaceId: c };
    expect(judge(next(c, a), [toC, other], 16)).toMatchObject({ lineage: { parentId: m3, depth: 1 } });
    expect(judge(next(c, d), [other, toC], 16)).toMatchObject({ lineage: { parentId: m2, depth: 3 } });
    expect(originOf([other, toC], d)).toBe(toC);
    expect(originOf([toC], a)).toBe(toC);
    expect(originOf([], a)).toBeUndefined();
  });
  it('J3: of a workspace that calls itself is that of what it is doing', () => {
    expect(judge(next(c, c), [toC], 1)).toEqual({ lineage: { rootId: m0, parentId: m2, depth: 2, ancestors: [a, b] } });
    expect(judge(next(a, a), [toA], 1)).toEqual({ lineage: { rootId: m0, parentId: m0, depth: 0, ancestors: [] } });
    expect(judge(next(a, a), [], 1)).toEqual({ lineage: undefined });
  });
  it('has an end', () => {
    expect(judge(next(c, d), [toC], 3)).toMatchObject({ lineage: { depth: 3 } });
    expect(judge(next(c, d), [toC], 2)).toEqual({ refused: 'depth', chain: [a, b, c, d] });
  });
  it('is refused in words that say what to do instead', () => {
    expect(circle([a, b, a], ['Lead', 'Helper', 'Lead'])).toEqual({
      error:
        'this call would close a circle: Lead → Helper → Lead. Lead already takes part in this task and waits for what comes of it, so it is not called again: put what you have to tell or to ask it into your own reply',
      code: 'a2a_cycle',
      chain: [a, b, a],
    });
    expect(tooDeep([a, b], ['Lead', 'Helper'], 1)).toMatchObject({ code: 'a2a_depth', limit: 1, chain: [a, b] });
  });
});

describe('whoever calls whom while what is open', () => {
  const MAX = 5;
  const steps = fc.array(
    fc.record({
      caller: fc.integer({ min: 0, max: 7 }),
      target: fc.integer({ min: 0, max: 7 }),
      person: fc.boolean(),
      end: fc.nat(),
    }),
    { maxLength: 60 },
  );
  it('no way is longer than the limit, none meets a workspace twice, and each call hangs on one that was open at its caller', () =>
    fc.assert(
      fc.property(steps, (calls) => {
        const open: OpenCall[] = [];
        let count = 100;
        for (const { caller, target, person, end } of calls) {
          if (open.length > 0 && end % 3 === 0) open.splice(end % open.length, 1);
          const call = {
            messageId: id(count++) as MessageId,
            callerId: id(caller) as WorkspaceId,
            targetId: id(target) as WorkspaceId,
          };
          if (person) {
            open.push({ messageId: call.messageId, workspaceId: call.targetId });
            continue;
          }
          const atCaller = open.filter(({ workspaceId }) => workspaceId === call.callerId);
          const judged = judge(call, atCaller, MAX);
          const circles = atCaller.filter(({ lineage }) =>
            [...(lineage?.ancestors ?? []), call.callerId].includes(call.targetId),
          );
          if ('refused' in judged) {
            expect(call.callerId).not.toBe(call.targetId);
            if (judged.refused === 'cycle') expect(circles).toEqual(atCaller);
            continue;
          }
          const { lineage } = judged;
          open.push({ messageId: call.messageId, workspaceId: call.targetId, lineage });
          if (!lineage) continue;
          expect(Lineage.parse(lineage)).toEqual(lineage);
          expect(lineage.depth).toBeLessThanOrEqual(MAX);
          const way =
            call.callerId === call.targetId ? [...lineage.ancestors, call.callerId] : [...lineage.ancestors, call.targetId];
          expect(new Set(way).size).toBe(way.length);
          if (lineage.parentId === null) expect(atCaller).toEqual([]);
          else expect(atCaller.map(({ messageId }) => messageId)).toContain(lineage.parentId);
        }
      }),
      { numRuns: 1_000 },
    ));
});
