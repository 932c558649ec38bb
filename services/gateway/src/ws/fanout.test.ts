/** W1–W4 against sinks that read when they are told to. */
import type { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { type Audience, type Farewell, MAX_BYTES, MAX_STALLED_MS } from './client.ts';
import { type Credential, LASTING } from './credential.ts';
import { Fanout } from './fanout.ts';
import { EVENT_STREAM, WEBSOCKET } from './wire.ts';

const MAX_FRAMES = WEBSOCKET.maxFrames;
const SEQ = 's-1';

const event = (workspace_id: string, n = 0, padding = '') => ({
  event: 'WORKSPACE_ONLINE',
  workspace_id,
  timestamp: '2026-11-22T12:00:00.000Z',
  payload: { n, padding },
});

function setUp(canCommunicate: (a: string, b: string) => boolean = (a, b) => a === b) {
  const world = { now: 0, drops: { websocket: 0, sse: 0 } };
  const fanout = new Fanout({
    canCommunicate,
    nowMs: () => world.now,
    now: () => new Date(world.now),
    onDrop: (wire) => void world.drops[wire]++,
  });
  return { world, fanout };
}

class Reader {
  readonly frames: Buffer[] = [];
  readonly closes: Farewell[] = [];
  readonly #unread: { frame: Buffer; written: () => void }[] = [];
  reading = true;

  get writableLength(): number {
    return this.#unread.reduce((sum, { frame }) => sum + frame.length, 0);
  }

  write(frame: Buffer, written: () => void): void {
    this.#unread.push({ frame, written });
    if (this.reading) this.read();
  }

  read(count = Number.POSITIVE_INFINITY): void {
    for (const { frame, written } of this.#unread.splice(0, count)) {
      this.frames.push(frame);
      written();
    }
  }

  join(fanout: Fanout, audience: Audience = { kind: 'everything' }, credential: Credential = LASTING): () => void {
    const wire = audience.kind === 'workspace' ? EVENT_STREAM : WEBSOCKET;
    const close = (why: Farewell) => void this.closes.push(why);
    const client = fanout.join({ sink: this, wire, audience, credential, since: null, close });
    return () => fanout.leave(client);
  }
}

describe('the fan-out', () => {
  it('W1: gives every canvas the same frame, once', () => {
    const { fanout } = setUp();
    const [a, b] = [new Reader(), new Reader()];
    a.join(fanout);
    b.join(fanout);
    fanout.publish(event('w'), SEQ, null);
    expect(a.frames).toHaveLength(1);
    expect(a.frames[0]).toBe(b.frames[0]);
  });

  it('forgets who left', () => {
    const { fanout } = setUp();
    const reader = new Reader();
    const leave = reader.join(fanout);
    leave();
    leave();
    fanout.publish(event('w'), SEQ, null);
    expect(reader.frames).toEqual([]);
    expect(fanout.isHeard).toBe(false);
  });

  it('W2: drops what comes after 256 unread frames, for that client alone', () => {
    const { fanout, world } = setUp();
    const [slow, fast] = [new Reader(), new Reader()];
    slow.reading = false;
    slow.join(fanout);
    fast.join(fanout);
    for (let n = 0; n < MAX_FRAMES + 10; n++) fanout.publish(event('w', n), SEQ, null);
    slow.read();
    expect(slow.frames).toHaveLength(MAX_FRAMES);
    expect(fast.frames).toHaveLength(MAX_FRAMES + 10);
    expect(world.drops).toEqual({ websocket: 10, sse: 0 });
    fanout.publish(event('w'), SEQ, null);
    slow.read();
    expect(slow.frames).toHaveLength(MAX_FRAMES + 1);
  });

  it('W2: drops what would leave more than 1 MiB unread', () => {
    const { fanout, world } = setUp();
    const slow = new Reader();
    slow.reading = false;
    slow.join(fanout);
    for (let n = 0; n < 20; n++) fanout.publish(event('w', n, 'x'.repeat(100_000)), SEQ, null);
    expect(slow.writableLength).toBeLessThanOrEqual(MAX_BYTES);
    expect(world.drops).toEqual({ websocket: 10, sse: 0 });
  });

  it('W3: cuts off who stays at the bound for ten seconds, and not who caught up in between', () => {
    const { fanout, world } = setUp();
    const [dead, slow] = [new Reader(), new Reader()];
    dead.reading = slow.reading = false;
    dead.join(fanout);
    slow.join(fanout);
    const publishUntil = (ms: number) => {
      for (; world.now < ms; world.now += 10) fanout.publish(event('w'), SEQ, null);
    };
    publishUntil(MAX_STALLED_MS - 100);
    slow.read();
    publishUntil(MAX_STALLED_MS + 5_000);
    expect(dead.closes).toEqual(['too-slow']);
    expect(slow.closes).toEqual([]);
    dead.read();
    expect(dead.frames).toHaveLength(MAX_FRAMES); // it had left
  });

  it('W4: a workspace hears what it may, judged anew for each event', () => {
    let related = false;
    const { fanout } = setUp((a, b) => a === b || related);
    const reader = new Reader();
    reader.join(fanout, { kind: 'neighbours', of: 'w' });
    fanout.publish(event('w'), SEQ, null);
    fanout.publish(event('other'), SEQ, null);
    fanout.publish(event(''), SEQ, null);
    expect(reader.frames).toHaveLength(1);
    related = true;
    fanout.publish(event('other'), SEQ, null);
    fanout.publish(event(''), SEQ, null);
    expect(reader.frames).toHaveLength(2);
  });

  it('W3: also who reads a little, as long as most of what it may leave unread stays unread', () => {
    const { fanout, world } = setUp();
    const trickle = new Reader();
    trickle.reading = false;
    trickle.join(fanout);
    const large = event('w', 0, 'x'.repeat(100_000));
    for (; world.now <= MAX_STALLED_MS + 2_000; world.now += 100) {
      fanout.publish(large, SEQ, null);
      if (world.now % 1_000 === 0) trickle.read(1);
    }
    expect(trickle.closes).toEqual(['too-slow']);
  });

  it('W4: an event stream hears of its workspace alone, and leaves 64 events unread at most', () => {
    const { fanout, world } = setUp();
    const [reader, other] = [new Reader(), new Reader()];
    reader.reading = other.reading = false;
    reader.join(fanout, { kind: 'workspace', id: 'w' });
    const leave = other.join(fanout, { kind: 'workspace', id: 'w2' });
    for (let n = 0; n < EVENT_STREAM.maxFrames + 3; n++) fanout.publish(event('w', n), SEQ, null);
    fanout.publish(event('w2'), SEQ, null);
    fanout.publish(event(''), SEQ, null);
    reader.read();
    other.read();
    expect(reader.frames.map(String)).toEqual(
      [...Array(EVENT_STREAM.maxFrames).keys()].map(
        (n) => `id: s-1\ndata: {"type":"WORKSPACE_ONLINE","timestamp":1795348800000,"data":{"n":${n},"padding":""}}\n\n`,
      ),
    );
    expect(other.frames).toHaveLength(1);
    expect(world.drops).toEqual({ websocket: 0, sse: 3 });
    leave();
    fanout.publish(event('w2'), SEQ, null);
    other.read();
    expect(other.frames).toHaveLength(1);
  });

  it('closes those whose right is over, and nobody else', () => {
    const { fanout } = setUp();
    const [canvas, agent, stream] = [new Reader(), new Reader(), new Reader()];
    const token: Credential = { kind: 'workspace-token', workspaceId: 'w', tokenId: 't' };
    canvas.join(fanout);
    agent.join(fanout, { kind: 'neighbours', of: 'w' }, token);
    stream.join(fanout, { kind: 'workspace', id: 'w' }, token);
    fanout.closeWhere((credential) => credential === token);
    expect([agent.closes, stream.closes]).toEqual([['right-ended'], ['right-ended']]);
    expect(canvas.closes).toEqual([]);
  });
});
