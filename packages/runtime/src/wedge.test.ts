import { describe, expect, it, vi } from 'vitest';
import { declaring, NO_CAPABILITIES, toWire } from './capabilities.ts';
import { Wedge } from './wedge.ts';

describe('a wedge (spec 4 §10)', () => {
  it('keeps its first reason until it is cleared, and tells each change once', () => {
    const changed = vi.fn();
    const wedge = new Wedge(changed);
    wedge.clear();
    expect(changed).not.toHaveBeenCalled();
    wedge.mark('no control channel');
    wedge.mark('something else');
    expect([wedge.isWedged(), wedge.reason()]).toEqual([true, 'no control channel']);
    wedge.clear();
    expect([wedge.isWedged(), wedge.reason()]).toEqual([false, undefined]);
    expect(changed).toHaveBeenCalledTimes(2);
  });
});

describe('capabilities on the wire (spec 4 §9)', () => {
  it('are seven booleans', () =>
    expect(toWire(NO_CAPABILITIES)).toEqual({
      heartbeat: false,
      scheduler: false,
      session: false,
      status_mgmt: false,
      retry: false,
      activity_decoration: false,
      channel_dispatch: false,
    }));
  it('say what is declared', () =>
    expect(toWire(declaring(['session', 'status_mgmt']))).toMatchObject({ session: true, status_mgmt: true, scheduler: false }));
  it('cannot be changed once declared', () => expect(Object.isFrozen(declaring(['session']))).toBe(true));
  it('refuse what does not exist, and say what does', () =>
    expect(() => declaring(['sessions'])).toThrow(/no such capability: sessions; there are: heartbeat, scheduler/));
});
