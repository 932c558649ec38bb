import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from './log.ts';
import { Loops } from './loops.ts';
import { backoff, sleep, systemClock } from './time.ts';

const lines: string[] = [];
const log = createLog({ service: 'registry', level: 'warn', destination: { write: (line: string) => void lines.push(line) } });

beforeEach(() => {
  vi.useFakeTimers();
  lines.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const newLoops = () => new Loops({ log, clock: systemClock });

describe('a loop', () => {
  it('comes round after each interval, first after one', async () => {
    const loops = newLoops();
    const work = vi.fn(async () => {});
    loops.every('beat', 100, work);
    await pass(99);
    expect(work).toHaveBeenCalledTimes(0);
    await pass(1);
    expect(work).toHaveBeenCalledTimes(1);
    await pass(300);
    expect(work).toHaveBeenCalledTimes(4);
    await loops.stop();
    await pass(1_000);
    expect(work).toHaveBeenCalledTimes(4);
  });

  it('may begin at once', async () => {
    const loops = newLoops();
    const work = vi.fn(async () => {});
    loops.every('beat', 100, work, { immediately: true });
    await pass(0);
    expect(work).toHaveBeenCalledTimes(1);
    await loops.stop();
  });

  it('L1: survives failures, waiting 1 s, 2 s, 4 s … 30 s, and starts anew after a good round', async () => {
    const loops = newLoops();
    const rounds: number[] = [];
    let failing = true;
    const start = Date.now();
    const work = async () => {
      rounds.push(Date.now() - start);
      if (failing) throw new Error('no');
    };
    loops.every('beat', 100, work, { immediately: true });
    await pass(93_000);
    expect(rounds.map((ms) => ms / 1_000)).toEqual([0, 1, 3, 7, 15, 31, 61, 91]);
    expect(lines).toHaveLength(8);
    failing = false;
    await pass(28_200);
    expect(rounds.slice(8).map((ms) => ms / 1_000)).toEqual([121, 121.1, 121.2]);
    failing = true;
    await pass(1_100);
    expect(rounds.slice(11).map((ms) => ms / 1_000)).toEqual([121.3, 122.3]);
    await loops.stop();
  });

  it('L1: survives work that throws before it returns a promise', async () => {
    const loops = newLoops();
    const work = vi.fn((): Promise<void> => {
      throw new Error('no');
    });
    loops.every('beat', 100, work, { immediately: true });
    await pass(1_000);
    expect(work).toHaveBeenCalledTimes(2);
    await loops.stop();
  });

  it('L2: ticks when a round ends well, and grows stale when it hangs or fails', async () => {
    const loops = newLoops();
    let behaviour: () => Promise<void> = async () => {};
    loops.every('beat', 1_000, () => behaviour());
    const start = Date.now();
    const age = () => Date.now() - Date.parse(loops.snapshot()['beat']?.lastTickAt ?? '');
    expect(loops.snapshot()).toEqual({ beat: { lastTickAt: new Date(start).toISOString(), intervalMs: 1_000, ticked: false } });
    await pass(2_500);
    expect(age()).toBe(500);
    behaviour = () => Promise.reject(new Error('no'));
    await pass(4_000);
    expect(age()).toBe(4_500);
    behaviour = () => new Promise(() => {});
    await pass(10_000);
    expect(age()).toBe(14_500);
  });

  it('L3: makes one more round for any number of nudges', async () => {
    const loops = newLoops();
    const { promise, resolve } = Promise.withResolvers<void>();
    const work = vi.fn(() => promise);
    const loop = loops.every('beat', 60_000, work);
    loop.nudge();
    await pass(0);
    expect(work).toHaveBeenCalledTimes(1);
    loop.nudge();
    loop.nudge();
    resolve();
    await pass(0);
    expect(work).toHaveBeenCalledTimes(2);
    await pass(59_999);
    expect(work).toHaveBeenCalledTimes(2);
    loop.nudge();
    await pass(0);
    expect(work).toHaveBeenCalledTimes(3);
    await loops.stop();
  });

  it('L3: is not hurried by nudges for 1 s after a failure, and no longer', async () => {
    const loops = newLoops();
    const work = vi.fn(async () => {
      throw new Error('no');
    });
    const loop = loops.every('beat', 100, work, { immediately: true });
    await pass(7_000); // rounds at 0, 1, 3 and 7 s; the next would come at 15 s
    expect(work).toHaveBeenCalledTimes(4);
    loop.nudge();
    await pass(999);
    expect(work).toHaveBeenCalledTimes(4);
    await pass(1);
    expect(work).toHaveBeenCalledTimes(5);
    await loops.stop();
  });

  it('L4: tells the running round, and waits for it', async () => {
    const loops = newLoops();
    let told = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    loops.every(
      'beat',
      100,
      async (signal) => {
        signal.addEventListener('abort', () => {
          told = true;
        });
        await promise;
      },
      { immediately: true },
    );
    await pass(0);
    let stopped = false;
    const stopping = loops.stop().then(() => {
      stopped = true;
    });
    await pass(0);
    expect([told, stopped]).toEqual([true, false]);
    resolve();
    await stopping;
    expect(loops.snapshot()).toEqual({});
  });

  it('stops during a wait and during a back-off, at once', async () => {
    const loops = newLoops();
    loops.every('waiting', 60_000, async () => {});
    loops.every('failing', 60_000, () => Promise.reject(new Error('no')), { immediately: true });
    await pass(10);
    await loops.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stops with the signal it was given', async () => {
    const stopping = new AbortController();
    const loops = new Loops({ log, clock: systemClock, signal: stopping.signal });
    const work = vi.fn(async () => {});
    loops.every('beat', 100, work);
    stopping.abort();
    await pass(1_000);
    expect(work).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a supervised task', () => {
  it('is started again when it fails or ends, later each time until it ticks', async () => {
    const loops = newLoops();
    const starts: number[] = [];
    const begin = Date.now();
    loops.supervise('reader', 100, async (_, tick) => {
      starts.push((Date.now() - begin) / 1_000);
      if (starts.length === 4) tick();
      if (starts.length % 2 === 0) throw new Error('no');
    });
    await pass(10_900);
    expect(starts).toEqual([0, 1, 3, 7, 8, 10]);
    await loops.stop();
  });

  it('ends when stopped, without a word', async () => {
    const loops = newLoops();
    loops.supervise(
      'reader',
      100,
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await pass(0);
    await loops.stop();
    expect(lines).toEqual([]);
  });
});

describe('time', () => {
  it('sleeps no longer than it is let', async () => {
    const stopping = new AbortController();
    const sleeping = sleep(60_000, stopping.signal);
    stopping.abort();
    await sleeping;
    await sleep(60_000, stopping.signal);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('backs off by doubling, up to a limit', () => {
    const waitMs = backoff({ firstMs: 100, lastMs: 1_000 });
    expect([1, 2, 3, 4, 5, 1_000_000].map(waitMs)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });
});
