/** W1–W4 against sinks that read when they are told to. */
import type { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { Fanout, MAX_BYTES, MAX_FRAMES, MAX_STALLED_MS } from './fanout.ts';

const event = (workspace_id: string, n = 0, padding = '') => ({
  event: 'WORKSPACE_ONLINE',
  workspace_id,
  timestamp: '2026-11-22T12:00:00.000Z',
  payload: { n, padding },
});

function setUp(canCommunicate: (a: string, b: string) => boolean = (a, b) => a === b) {
  const world = { now: 0, drops: 0 };
  const fanout = new Fanout({ canCommunicate, nowMs: () => world.now, onDrop: () => void world.drops++ });
  return { world, fanout };
}

class Reader {
  readonly frames: Buffer[] = [];
  readonly closes: [number, string][] = [];
  readonly #unread: { frame: Buffer; written: () => void }[] = [];
  reading = true;

  get writableLength(): number {
    return this.#unread.reduce((sum, { frame }) => sum + frame.length, 0);
  }

  write(frame: Buffer, written: () => void): void {
    this.#unread.push({ frame, written });
    if (this.reading) this.read();
  }

  read(): void {
    for (const { frame, written } of this.#unread.splice(0)) {
      this.frames.push(frame);
      written();
    }
  }

  join(fanout: Fanout, workspace: { id: string; tokenHash: string | null } | null = null): () => void {
    return fanout.join({ sink: this, workspace, close: (code, reason) => void this.closes.push([code, reason]) });
  }
}

describe('the fan-out', () => {
  it('W1: gives every canvas the same frame, once', () => {
    const { fanout } = setUp();
    const [a, b] = [new Reader(), new Reader()];
    a.join(fanout);
    b.join(fanout);
    fanout.publish(event('w'));
    expect(a.frames).toHaveLength(1);
    expect(a.frames[0]).toBe(b.frames[0]);
  });

  it('forgets who left', () => {
    const { fanout } = setUp();
    const reader = new Reader();
    const leave = reader.join(fanout);
    leave();
    leave();
    fanout.publish(event('w'));
    expect(reader.frames).toEqual([]);
    expect(fanout.size).toBe(0);
  });

  it('W2: drops what comes after 256 unread frames, for that client alone', () => {
    const { fanout, world } = setUp();
    const [slow, fast] = [new Reader(), new Reader()];
    slow.reading = false;
    slow.join(fanout);
    fast.join(fanout);
    for (let n = 0; n < MAX_FRAMES + 10; n++) fanout.publish(event('w', n));
    slow.read();
    expect(slow.frames).toHaveLength(MAX_FRAMES);
    expect(fast.frames).toHaveLength(MAX_FRAMES + 10);
    expect(world.drops).toBe(10);
    fanout.publish(event('w'));
    slow.read();
    expect(slow.frames).toHaveLength(MAX_FRAMES + 1);
  });

  it('W2: drops what would leave more than 1 MiB unread', () => {
    const { fanout, world } = setUp();
    const slow = new Reader();
    slow.reading = false;
    slow.join(fanout);
    for (let n = 0; n < 20; n++) fanout.publish(event('w', n, 'x'.repeat(100_000)));
    expect(slow.writableLength).toBeLessThanOrEqual(MAX_BYTES);
    expect(world.drops).toBe(10);
  });

  it('W3: cuts off who stays at the bound for ten seconds, and not who caught up in between', () => {
    const { fanout, world } = setUp();
    const [dead, slow] = [new Reader(), new Reader()];
    dead.reading = slow.reading = false;
    dead.join(fanout);
    slow.join(fanout);
    const publishUntil = (ms: number) => {
      for (; world.now < ms; world.now += 10) fanout.publish(event('w'));
    };
    publishUntil(MAX_STALLED_MS - 100);
    slow.read();
    publishUntil(MAX_STALLED_MS + 5_000);
    expect(dead.closes).toEqual([[1013, 'reading too slowly']]);
    expect(slow.closes).toEqual([]);
    expect(fanout.size).toBe(1);
  });

  it('W4: a workspace hears what it may, judged anew for each event', () => {
    let related = false;
    const { fanout } = setUp((a, b) => a === b || related);
    const reader = new Reader();
    reader.join(fanout, { id: 'w', tokenHash: null });
    fanout.publish(event('w'));
    fanout.publish(event('other'));
    fanout.publish(event(''));
    expect(reader.frames).toHaveLength(1);
    related = true;
    fanout.publish(event('other'));
    fanout.publish(event(''));
    expect(reader.frames).toHaveLength(2);
  });

  it('closes the sockets of a workspace whose token ended, and no canvas', () => {
    const { fanout } = setUp();
    const [canvas, agent] = [new Reader(), new Reader()];
    canvas.join(fanout);
    agent.join(fanout, { id: 'w', tokenHash: 'h' });
    fanout.closeWhere(({ tokenHash }) => tokenHash === 'h', 'token revoked');
    expect(agent.closes).toEqual([[1008, 'token revoked']]);
    expect(canvas.closes).toEqual([]);
  });
});
