/** R1–R3 with a log in memory, and clients that read when they like; over a real log and real connections in replay.int.test.ts. */
import type { Buffer } from 'node:buffer';
import type { FactPlace, PlacedFact } from '@molecule/bus';
import { FactsGone } from '@molecule/bus';
import { createLog } from '@molecule/service';
import { recordedFact, waitFor } from '@molecule/testkit';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { status } from '../testing/registry.ts';
import { type Client, type Farewell, MAX_BACKLOG, MAX_STALLED_MS } from './client.ts';
import { LASTING } from './credential.ts';
import { Fanout } from './fanout.ts';
import { gapBetween, MAX_REPLAYED, Replayer } from './replay.ts';
import { seqOf, streamMark } from './seq.ts';
import { Teller } from './stream.ts';
import { EVENT_STREAM } from './wire.ts';

const epoch = '2026-11-22T12:00:00Z';
const log = createLog({ service: 'test', level: 'fatal', destination: { write: () => {} } });
const ID = '00000000-0000-4000-8000-000000000001';
const at = (sequence: number): FactPlace => ({ epoch, sequence });
const seq = (sequence: number) => seqOf(at(sequence));

afterEach(() => void vi.useRealTimers());

/** A gateway without its network: a log that grows, and what is told of it. */
class Gateway {
  readonly facts: PlacedFact[] = [];
  first = 1;
  place: FactPlace | undefined = at(0);
  drops = 0;
  readonly fanout = new Fanout({
    canCommunicate: () => true,
    nowMs: () => performance.now(),
    now: () => new Date(0),
    onDrop: () => void this.drops++,
  });
  readonly teller = new Teller(this.fanout);
  /** Called before each batch is read. */
  beforeBatch: (batch: number) => void | Promise<void> = () => {};
  readonly replayer = new Replayer({
    place: () => this.place,
    extent: async () => ({ epoch, first: this.first, last: this.facts.length }),
    read: (from) => this.#read(from),
    fanout: this.fanout,
    log,
  });

  /** One more fact is in the log, and, unless this gateway is behind, told. */
  happens({ told = true, recordedAt = epoch } = {}): void {
    const place = at(this.facts.length + 1);
    const fact = recordedFact(status('online', 'WORKSPACE_ONLINE'), {
      workspaceId: ID,
      version: place.sequence,
      recordedAt,
    });
    this.facts.push({ fact, place });
    if (told) this.catchesUp();
  }

  /** It tells what it was behind with. */
  catchesUp(): void {
    for (const { fact, place } of this.facts.slice(this.place?.sequence ?? 0)) {
      this.place = place;
      this.teller.fact(fact, place);
    }
  }

  says(): void {
    this.teller.live({ event: 'WORKSPACE_HEARTBEAT', workspaceId: ID, timestamp: '2026-11-22T12:00:00Z', payload: {} });
  }

  async *#read({ after, upTo }: { after: number; upTo: number }): AsyncGenerator<readonly PlacedFact[]> {
    for (let next = after, batch = 0; next < upTo; next += 3, batch++) {
      await this.beforeBatch(batch);
      if (next + 1 < this.first) throw new FactsGone(next + 1);
      yield this.facts.slice(next, Math.min(next + 3, upTo));
    }
  }
}

class Reader {
  readonly closes: Farewell[] = [];
  readonly #gateway: Gateway;
  readonly #unread: (() => void)[] = [];
  readonly #text: string[] = [];
  reading = true;
  readonly client: Client;

  constructor(gateway: Gateway, since: string | null) {
    this.#gateway = gateway;
    this.client = gateway.fanout.join({
      sink: this,
      wire: EVENT_STREAM,
      audience: { kind: 'workspace', id: ID },
      credential: LASTING,
      since,
      close: (why) => {
        this.closes.push(why);
        gateway.fanout.leave(this.client);
      },
    });
  }

  comesBack(since: string): Promise<void> {
    return this.#gateway.replayer.catchUp(this.client, since);
  }

  static returning(gateway: Gateway, since: string): { reader: Reader; live: Promise<void> } {
    const reader = new Reader(gateway, since);
    return { reader, live: reader.comesBack(since) };
  }

  get writableLength(): number {
    return 0;
  }

  write(frame: Buffer, written: () => void): void {
    this.#text.push(frame.toString());
    this.#unread.push(written);
    if (this.reading) this.read();
  }

  read(): void {
    for (const written of this.#unread.splice(0)) written();
  }

  /** What came: the sequence of a persisted event, `live`, or the reason of a gap. */
  get heard(): (number | string)[] {
    return this.#text.map((text) => {
      const [, id, data] = /^id: (.*)\ndata: (.*)\n\n$/.exec(text) ?? [];
      const event = JSON.parse(data ?? '');
      if (event.type === 'GAP') return `${event.data.reason} since ${event.data.since}, then ${id}`;
      return event.type === 'WORKSPACE_HEARTBEAT' ? 'live' : Number(id?.split('-')[1]);
    });
  }
}

const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);

function gatewayWith(facts: number): Gateway {
  const gateway = new Gateway();
  for (let n = 0; n < facts; n++) gateway.happens();
  return gateway;
}

describe('a client that comes back', () => {
  it('R1: is told what it missed, in order, each once, then what happens', async () => {
    const gateway = gatewayWith(10);
    const { reader, live } = Reader.returning(gateway, seq(4));
    gateway.says();
    gateway.happens();
    await live;
    gateway.happens();
    expect(reader.heard).toEqual([5, 6, 7, 8, 9, 10, 'live', 11, 12]);
    expect(gateway.replayer.outcomes).toEqual({ replayed: 1, gap: 0 });
  });

  it('R1: whatever happens meanwhile and however it reads, there is no hole and nothing comes twice', async () => {
    const step = fc.constantFrom('fact', 'behind', 'live', 'turn', 'read', 'stop reading');
    await fc.assert(
      fc.asyncProperty(fc.nat(12), fc.nat(20), fc.array(step, { maxLength: 60 }), async (since, before, steps) => {
        const gateway = gatewayWith(before + since);
        const { reader, live } = Reader.returning(gateway, seq(since));
        for (const next of steps) {
          if (next === 'fact') gateway.happens();
          else if (next === 'behind') gateway.happens({ told: false });
          else if (next === 'live') gateway.says();
          else if (next === 'turn') await Promise.resolve();
          else if (next === 'stop reading') reader.reading = false;
          else {
            reader.reading = true;
            reader.read();
          }
        }
        reader.reading = true;
        reader.read();
        gateway.catchesUp();
        await live;
        gateway.happens();
        expect(reader.heard.filter((one) => typeof one === 'number')).toEqual(upTo(gateway.facts.length, since + 1));
        expect(reader.heard.filter((one) => typeof one === 'string' && one !== 'live')).toEqual([]);
      }),
    );
  });

  it('R1: from a gateway that was further on, hears nothing twice that this one tells only now', async () => {
    const gateway = gatewayWith(3);
    for (let n = 0; n < 2; n++) gateway.happens({ told: false });
    const { reader, live } = Reader.returning(gateway, seq(4));
    gateway.says();
    await Promise.resolve();
    expect(reader.heard).toEqual([]);
    gateway.catchesUp();
    await live;
    gateway.happens();
    expect(reader.heard).toEqual(['live', 5, 6]);
  });

  it('is not told, live or again, what a stream that was made anew was filled with', async () => {
    const gateway = gatewayWith(1);
    const plain = new Reader(gateway, null);
    gateway.happens({ recordedAt: '2026-11-22T10:59:00Z' });
    gateway.happens({ recordedAt: '2026-11-22T11:01:00Z' });
    const { reader, live } = Reader.returning(gateway, seq(0));
    await live;
    expect(reader.heard).toEqual([1, 3]);
    expect(plain.heard).toEqual([3]);
  });

  it('waits for the directory of a gateway that has just begun', async () => {
    const gateway = gatewayWith(5);
    gateway.place = undefined;
    const { reader, live } = Reader.returning(gateway, seq(3));
    gateway.place = at(5);
    await live;
    expect(reader.heard).toEqual([4, 5]);
  });

  it('R3: is read for no further than it reads', async () => {
    const gateway = gatewayWith(300);
    let batches = 0;
    gateway.beforeBatch = () => void batches++;
    const reader = new Reader(gateway, seq(0));
    reader.reading = false;
    const live = reader.comesBack(seq(0));
    await waitFor(() => reader.heard.length === EVENT_STREAM.maxFrames);
    expect(batches).toBeLessThanOrEqual(EVENT_STREAM.maxFrames / 3 + 1);
    reader.reading = true;
    reader.read();
    await live;
    expect(reader.heard).toEqual(upTo(300));
  });

  it('R3: is cut off when it reads nothing for ten seconds', async () => {
    vi.useFakeTimers();
    const gateway = gatewayWith(300);
    const reader = new Reader(gateway, seq(0));
    reader.reading = false;
    const live = reader.comesBack(seq(0));
    await vi.advanceTimersByTimeAsync(MAX_STALLED_MS);
    await live;
    expect(reader.closes).toEqual(['too-slow']);
    expect(gateway.fanout.isHeard).toBe(false);
    expect(gateway.replayer.outcomes).toEqual({ replayed: 0, gap: 0 });
  });

  it('R3: only so many are caught up at a time; the others have their turn, and who leaves takes none', async () => {
    const gateway = gatewayWith(9);
    const open = Promise.withResolvers<void>();
    let reading = 0;
    gateway.beforeBatch = (batch) => {
      if (batch === 0) reading++;
      return open.promise;
    };
    const all = Array.from({ length: 40 }, () => Reader.returning(gateway, seq(0)));
    await waitFor(() => reading === 16);
    const [, , last] = all.slice(-3);
    if (last !== undefined) gateway.fanout.leave(last.reader.client);
    open.resolve();
    await Promise.all(all.map(({ live }) => live));
    expect(all.slice(0, -1).map(({ reader }) => reader.heard)).toEqual(all.slice(1).map(() => upTo(9)));
    expect(last?.reader.heard).toEqual([]);
    expect(gateway.replayer.outcomes.replayed).toBe(39);
  });
});

describe('a gap is told', () => {
  const nextTo = async (gateway: Gateway, since: string) => {
    const { reader, live } = Reader.returning(gateway, since);
    await live;
    gateway.happens();
    return reader.heard;
  };

  it('R2: once, with the reason; then what happens', async () => {
    const gateway = gatewayWith(5);
    expect(await nextTo(gateway, 'yesterday')).toEqual([`unreadable since yesterday, then ${seq(5)}`, 6]);
    expect(await nextTo(gateway, `old-3`)).toEqual([`other-log since old-3, then ${seq(6)}`, 7]);
    gateway.first = 4;
    expect(await nextTo(gateway, seq(2))).toEqual([`expired since ${seq(2)}, then ${seq(7)}`, 8]);
    expect(await nextTo(gateway, seq(3))).toEqual([4, 5, 6, 7, 8, 9]);
    expect(gateway.replayer.outcomes).toEqual({ replayed: 1, gap: 3 });
  });

  it('R2: when the log lets go of it while it is read: behind what was told again', async () => {
    const gateway = gatewayWith(9);
    gateway.beforeBatch = (batch) => {
      if (batch === 1) gateway.first = 7;
    };
    expect(await nextTo(gateway, seq(0))).toEqual([1, 2, 3, `expired since ${seq(3)}, then ${seq(9)}`, 10]);
  });

  it('R2: when the log cannot be read', async () => {
    const gateway = gatewayWith(9);
    gateway.beforeBatch = () => Promise.reject(new Error('no bus'));
    expect(await nextTo(gateway, seq(0))).toEqual([`unavailable since ${seq(0)}, then ${seq(9)}`, 10]);
  });

  it('R3: when more happens meanwhile than may wait', async () => {
    const gateway = gatewayWith(3);
    gateway.beforeBatch = () => {
      for (let n = 0; n <= MAX_BACKLOG.frames; n++) gateway.says();
    };
    expect(await nextTo(gateway, seq(0))).toEqual([1, 2, 3, `overflow since ${seq(3)}, then ${seq(3)}`, 4]);
  });

  it('when the gateway itself missed facts, to all who asked for what they missed, and to nobody else', async () => {
    const gateway = gatewayWith(3);
    const { reader, live } = Reader.returning(gateway, seq(3));
    const plain = new Reader(gateway, null);
    await live;
    gateway.teller.missed(at(7));
    gateway.says();
    expect(reader.heard).toEqual([`missed since ${seq(3)}, then ${seq(7)}`, 'live']);
    expect(plain.heard).toEqual(['live']);
  });

  it('when the gateway missed facts while it told them again', async () => {
    const gateway = gatewayWith(9);
    gateway.beforeBatch = (batch) => {
      if (batch === 1) gateway.teller.missed(at(9));
    };
    expect(await nextTo(gateway, seq(0))).toEqual([...upTo(6), `missed since ${seq(6)}, then ${seq(9)}`, 10]);
  });

  it('when persisted events were dropped because it did not read; it can come back from there', async () => {
    const gateway = gatewayWith(0);
    const { reader, live } = Reader.returning(gateway, seq(0));
    await live;
    reader.reading = false;
    const room = EVENT_STREAM.maxFrames;
    for (let n = 0; n < room + 5; n++) gateway.happens();
    reader.reading = true;
    reader.read();
    gateway.happens();
    expect(gateway.drops).toBe(5);
    expect(reader.heard).toEqual([...upTo(room), `too-slow since ${seq(room)}, then ${seq(room)}`, room + 6]);
    const again = Reader.returning(gateway, seq(room));
    await again.live;
    expect(again.reader.heard).toEqual(upTo(room + 6, room + 1));
  });
});

it.each([
  ['it missed nothing', 7, at(7), { first: 1, last: 7 }, null],
  ['all is kept', 2, at(7), { first: 3, last: 7 }, null],
  ['nothing is kept, and nothing was missed', 7, at(7), { first: 8, last: 7 }, null],
  ['one is not kept', 1, at(7), { first: 3, last: 7 }, 'expired'],
  ['it comes from a gateway that is further on', 9, at(7), { first: 1, last: 9 }, null],
  ['the log fell back', 9, at(7), { first: 1, last: 8 }, 'other-log'],
  [
    'this gateway has not heard of the new log',
    2,
    { epoch: '2026-11-21T12:00:00Z', sequence: 7 },
    { first: 1, last: 7 },
    'missed',
  ],
  ['it is as far back as may be', 1, at(MAX_REPLAYED + 1), { first: 1, last: MAX_REPLAYED + 1 }, null],
  ['it is too far back', 0, at(MAX_REPLAYED + 1), { first: 1, last: MAX_REPLAYED + 1 }, 'too-far'],
] as const)('when %s, from %i: %j %j → %j', (_, sequence, place, kept, gap) =>
  expect(gapBetween({ stream: streamMark(epoch), sequence }, place, { epoch, ...kept })).toBe(gap),
);
