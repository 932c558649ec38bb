import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BeatMarks } from './beat-marks.ts';

const g = (seq: number) => ({ gateway: 'g', seq });

describe('how far a reader has got', () => {
  it('is as far as it heard, while nothing is missing', () => {
    const marks = new BeatMarks();
    for (const seq of [1, 2, 3]) expect(marks.heard('g', seq)).toBe(false);
    expect(marks.passed(g(3))).toBe(true);
    expect(marks.passed(g(4))).toBe(false);
  });

  it('stays before a hole until the beats were read again', () => {
    const marks = new BeatMarks();
    marks.heard('g', 1);
    expect(marks.heard('g', 4)).toBe(true);
    expect(marks.heard('g', 5)).toBe(false);
    expect(marks.passed(g(1))).toBe(true);
    expect(marks.passed(g(2))).toBe(false);
    marks.healed();
    expect(marks.passed(g(5))).toBe(true);
  });

  it('knows nothing of a gateway it never heard of', () => expect(new BeatMarks().passed(g(1))).toBe(false));

  it('waits for what listeners promised', () => {
    const marks = new BeatMarks();
    marks.opened('g', 2);
    marks.heard('g', 1);
    marks.heard('g', 2);
    marks.heard('g', 3);
    expect(marks.passed(g(1))).toBe(true);
    expect(marks.passed(g(3))).toBe(false);
    marks.closed('g', 2);
    expect(marks.passed(g(3))).toBe(true);
  });

  it('tells those who wait, at once and only when it is so', async () => {
    const marks = new BeatMarks();
    const waiting = marks.wait(g(2), 5_000);
    marks.heard('g', 1);
    marks.wake();
    marks.heard('g', 2);
    marks.wake();
    expect(await waiting).toBe(true);
  });

  it('gives a mark up for everybody when it did not come in time', async () => {
    const marks = new BeatMarks();
    expect(await marks.wait(g(7), 1)).toBe(false);
    expect(marks.passed(g(7))).toBe(true);
    expect(marks.heard('g', 8)).toBe(true); // and yet knows that they are missing
    expect(marks.passed(g(8))).toBe(false);
    marks.healed();
    expect(marks.passed(g(8))).toBe(true);
  });

  it('takes what comes late, after it was given up, as if nothing had been', async () => {
    const marks = new BeatMarks();
    await marks.wait(g(3), 1);
    for (const seq of [1, 2, 3, 4]) expect(marks.heard('g', seq)).toBe(false);
    expect(marks.passed(g(4))).toBe(true);
  });

  it('never says passed while a beat before the mark is missing or open, whatever was lost and re-read', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('beat' as const), lost: fc.boolean(), open: fc.boolean() }),
      fc.record({ do: fc.constant('heal' as const) }),
      fc.record({ do: fc.constant('finish' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const marks = new BeatMarks();
        const missing = new Set<number>();
        const open = new Set<number>();
        let sent = 0;
        let heard = 0;
        for (const one of steps) {
          if (one.do === 'beat') {
            sent++;
            if (one.lost) missing.add(sent);
            else {
              if (one.open) {
                marks.opened('g', sent);
                open.add(sent);
              }
              marks.heard('g', sent);
              heard = sent;
            }
          } else if (one.do === 'heal') {
            // The stream holds the newest beat, so re-reading tells its number.
            if (sent > 0) marks.reread('g', sent);
            marks.healed();
            missing.clear();
            heard = sent;
          } else {
            for (const seq of open) marks.closed('g', seq);
            open.clear();
          }
          for (let mark = 1; mark <= sent; mark++) {
            const isThere = mark <= heard && ![...missing, ...open].some((seq) => seq <= mark);
            expect(marks.passed(g(mark))).toBe(isThere);
          }
        }
      }),
    );
  });
});
