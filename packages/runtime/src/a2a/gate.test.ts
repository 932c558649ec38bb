import { describe, expect, it } from 'vitest';
import { type Admission, Gate } from './gate.ts';

const here = new AbortController().signal;
const leave = (admission: Admission) => {
  if (admission.kind !== 'admitted') throw new Error(admission.kind);
  admission.leave();
};

describe('the gate of an agent', () => {
  it('lets in so many at a time, the others in the order they came', async () => {
    const gate = new Gate(() => ({ max: 1, whenBusy: 'wait' }));
    const first = await gate.enter(here);
    const order: string[] = [];
    const second = gate.enter(here).then((admission) => {
      order.push('second');
      return admission;
    });
    const third = gate.enter(here).then((admission) => {
      order.push('third');
      return admission;
    });
    leave(first);
    leave(await second);
    leave(await third);
    expect(order).toEqual(['second', 'third']);
  });

  it('does not let in who went away while waiting, nor loses the place (A2)', async () => {
    const gate = new Gate(() => ({ max: 1, whenBusy: 'wait' }));
    const first = await gate.enter(here);
    const gone = new AbortController();
    const second = gate.enter(gone.signal);
    const third = gate.enter(here);
    gone.abort();
    expect(await second).toEqual({ kind: 'gone' });
    leave(first);
    leave(await third);
    expect((await gate.enter(here)).kind).toBe('admitted');
  });

  it('turns away when it is told to', async () => {
    const gate = new Gate(() => ({ max: 1, whenBusy: 'reset' }));
    const first = await gate.enter(here);
    expect(await gate.enter(here)).toEqual({ kind: 'refused' });
    leave(first);
    leave(first); // twice counts once
    expect((await gate.enter(here)).kind).toBe('admitted');
    expect(await gate.enter(here)).toEqual({ kind: 'refused' });
  });
});
