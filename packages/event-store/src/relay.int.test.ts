/** Publishing the log (E2, R1–R5). */
import type { RecordedFact } from '@molecule/contracts';
import { type ScheduleFact, scheduleFacts } from '@molecule/contracts';
import { createBasics } from '@molecule/service';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { add, it as base, plain, type Tables } from './fixtures/tally.ts';
import { type RelayTarget, startRelay } from './relay.ts';
import type { TargetMark } from './relay-place.ts';
import type { Aggregate, Ledger } from './types.ts';

/** A bus that remembers what it was given, and fails when told to. */
class Board {
  readonly published: RecordedFact[] = [];
  readonly batches: (readonly RecordedFact[])[] = [];
  failures = 0;

  #hang: (() => void) | undefined;

  /** The next batch is never answered. Resolves when it is there. */
  hang(): Promise<void> {
    return new Promise((resolve) => {
      this.#hang = resolve;
    });
  }

  readonly publish = async (facts: readonly RecordedFact[]): Promise<number | undefined> => {
    if (this.#hang) {
      this.#hang();
      this.#hang = undefined;
      return new Promise(() => {});
    }
    if (this.failures > 0) {
      this.failures--;
      // Half of it arrived, and nobody knows.
      this.published.push(...facts.slice(0, facts.length / 2));
      throw new Error('the bus is away');
    }
    this.batches.push(facts);
    this.published.push(...facts);
    this.mark = { ...this.mark, lastSequence: this.mark.lastSequence + facts.length };
    return this.mark.lastSequence;
  };

  mark: TargetMark = { id: 'first', lastSequence: 0, keepsMs: 60_000 };
  readonly #returns = new Set<() => void>();
  readonly target: RelayTarget = {
    mark: async () => this.mark,
    onReturn: (listener) => {
      this.#returns.add(listener);
      return () => this.#returns.delete(listener);
    },
  };

  /** It is away for a moment, and comes back as another. */
  comesBackAs(mark: Partial<TargetMark>): void {
    this.mark = { ...this.mark, ...mark };
    for (const listener of this.#returns) listener();
  }

  /** What a reader that ignores repeats by id has seen, in order. */
  get heard(): RecordedFact[] {
    return [...new Map(this.published.toReversed().map((fact) => [fact.id, fact])).values()].toReversed();
  }

  has(count: number): Promise<boolean> {
    return waitFor(() => this.heard.length >= count, { timeoutMs: 15_000, what: `${count} facts` });
  }
}

const it = base
  .extend('board', () => new Board())
  .extend('relayOf', async ({ board, log }, { onCleanup }) => {
    const stops: (() => Promise<void>)[] = [];
    onCleanup(async () => {
      await Promise.all(stops.map((stop) => stop()));
    });
    return (ledger: Ledger<Tables>, remoteNudge?: { send(): void; onReceive(wake: () => void): void }) => {
      const { loops, metrics } = createBasics('registry', { level: 'silent', log });
      startRelay({
        ledger,
        loops,
        log,
        metrics,
        publish: board.publish,
        target: board.target,
        ...(remoteNudge && { remoteNudge }),
      });
      const stop = () => loops.stop();
      stops.push(stop);
      return { stop, loops, metrics };
    };
  });

const inOrder = (facts: readonly RecordedFact[]) => {
  const versions = new Map<string, number>();
  for (const { stream, version } of facts) {
    expect(version).toBe((versions.get(stream) ?? 0) + 1);
    versions.set(stream, version);
  }
};
const command = (id: string, n: number) => ({ id, commandId: `${n}` });
const killRelays = (ledger: Ledger<Tables>) =>
  ledger.pool.query(`
    select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and datname = current_database()`);

describe('the relay', () => {
  it('E2: publishes what was there, and what comes, in order', async ({ ledger, board, relayOf }) => {
    for (const n of [1, 2, 3]) await ledger.transact(plain, command('a', n), add(n));
    relayOf(ledger);
    await board.has(3);
    const { facts } = await ledger.transact(plain, command('a', 4), add(4));
    await board.has(4);
    expect(board.published.at(-1)).toEqual(facts[0]);
    inOrder(board.published);
  });

  it('R4: is woken by a commit', async ({ ledger, board, relayOf }) => {
    relayOf(ledger);
    await ledger.transact(plain, command('a', 0), add(1));
    await board.has(1);
    const delays: number[] = [];
    for (let n = 1; n <= 10; n++) {
      await ledger.transact(plain, command('a', n), add(1));
      const committed = performance.now();
      await board.has(n + 1);
      delays.push(performance.now() - committed);
    }
    // Without the nudge it would be 250 ms and more.
    expect(delays.toSorted((a, b) => a - b)[5]).toBeLessThan(100);
  });

  it('R4: of another replica is woken by word, and without it looks by itself', async ({ ledger, replica, board, relayOf }) => {
    const wakers: (() => void)[] = [];
    let told = 0;
    const remoteNudge = {
      send: () => {
        told++;
        for (const wake of wakers) wake();
      },
      onReceive: (wake: () => void) => void wakers.push(wake),
    };
    relayOf(ledger, remoteNudge);
    await ledger.transact(plain, command('a', 0), add(1));
    await board.has(1);
    const other = await replica();
    await other.transact(plain, command('a', 1), add(1)); // nobody is told: a replica whose relay has not started
    await board.has(2);
    relayOf(other, remoteNudge);
    await other.transact(plain, command('a', 2), add(1));
    await board.has(3);
    expect(told).toBeGreaterThan(0);
  });

  it('R5: publishes what had to wait for an older transaction as soon as that ends', async ({
    ledger,
    replica,
    board,
    relayOf,
  }) => {
    relayOf(ledger);
    await ledger.transact(plain, command('a', 0), add(1));
    await board.has(1);
    const neighbour = await replica({ schema: 'scheduler', service: 'scheduler' });
    const delays: number[] = [];
    for (let n = 1; n <= 5; n++) {
      await neighbour.transaction(async (tx) => {
        await tx.query(`insert into notes values ($1, '')`, [`${n}`]);
        await ledger.transact(plain, command('a', n), add(1));
        // Long enough for the relay to have looked.
        await tx.query('select pg_sleep(0.03)');
      });
      const committed = performance.now();
      await board.has(n + 1);
      delays.push(performance.now() - committed);
    }
    // Waiting for the next look at the log would take 250 ms.
    expect(delays.toSorted((a, b) => a - b)[2]).toBeLessThan(150);
  });

  it('keeps what is for the owner alone', async ({ replica, board, relayOf }) => {
    const ids = { scheduleId: crypto.randomUUID(), workspaceId: crypto.randomUUID() };
    const schedules: Aggregate<Tables, null, ScheduleFact> = {
      noun: 'schedule',
      family: scheduleFacts,
      fold: { initial: null, evolve: (state) => state },
      inline: [],
      workspaceOf: (_id, fact) => fact.data.workspaceId,
    };
    const about = { ...ids, name: 'nightly' } as ScheduleFact['data'];
    const at = '2026-01-01T00:00:00Z';
    const ledger = await replica({ aggregates: [schedules] });
    await ledger.transact(schedules, { id: ids.scheduleId, commandId: '1' }, () => [
      { type: 'schedule.due', data: { ...about, dueAt: at, nextRunAt: at, worker: 'w', messageId: 'm' } } as ScheduleFact,
      { type: 'schedule.deleted', data: about } as ScheduleFact,
    ]);
    relayOf(ledger);
    await board.has(1);
    expect(board.published.map(({ type }) => type)).toEqual(['schedule.deleted']);
  });

  it('R2: tries a failed batch again, whole, before anything after it', async ({ ledger, board, relayOf }) => {
    for (const n of [1, 2, 3, 4]) await ledger.transact(plain, command('a', n), add(n));
    board.failures = 2;
    relayOf(ledger);
    await board.has(4);
    inOrder(board.heard);
    expect(board.batches[0]).toHaveLength(4);
  });

  it('R1, R3: goes on where it was, after a stop and after a crash', async ({ ledger, board, relayOf }) => {
    for (const n of [1, 2, 3]) await ledger.transact(plain, command('a', n), add(n));
    const first = relayOf(ledger);
    await board.has(3);
    await first.stop();
    await ledger.transact(plain, command('a', 4), add(4));
    relayOf(ledger);
    await board.has(4);
    expect(board.published.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  });

  it('R1: passes over nothing that it was stopped in the middle of', async ({ ledger, board, relayOf }) => {
    for (const n of [1, 2, 3]) await ledger.transact(plain, command('a', n), add(n));
    const asked = board.hang();
    const first = relayOf(ledger);
    await asked;
    await first.stop();
    relayOf(ledger);
    await board.has(3);
    inOrder(board.heard);
  });

  it('R3: never takes its place back', async ({ ledger, board, relayOf }) => {
    const { stop } = relayOf(ledger);
    await ledger.transact(plain, command('a', 1), add(1));
    await board.has(1);
    // Another relay led meanwhile, and got further.
    await ledger.pool.query(`
      insert into relay values ('bus', '900000000000', 7)
      on conflict (name) do update set transaction_id = excluded.transaction_id, position = excluded.position`);
    await ledger.transact(plain, command('a', 2), add(2));
    await board.has(2);
    await stop();
    const { rows } = await ledger.pool.query('select transaction_id::text as id, position::int from relay');
    expect(rows).toEqual([{ id: '900000000000', position: 7 }]);
  });

  describe('R6: a stream that was lost is filled again', () => {
    const versions = (board: Board) => board.published.map(({ version }) => version);
    const filled = async (ledger: Ledger<Tables>, board: Board) => {
      for (const n of [1, 2, 3]) await ledger.transact(plain, command('a', n), add(n));
      await board.has(3);
    };

    it.for([
      ['made anew', { id: 'second', lastSequence: 0 }],
      ['an older copy of itself', { lastSequence: 1 }],
    ] as const)('%s, while it is published into', async ([_, mark], { ledger, board, relayOf }) => {
      relayOf(ledger);
      await filled(ledger, board);
      board.comesBackAs({});
      await ledger.transact(plain, command('a', 4), add(4));
      await board.has(4);
      board.comesBackAs(mark);
      await waitFor(() => board.published.length === 8);
      expect(versions(board)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    });

    it('also when it happened while nobody published', async ({ ledger, board, relayOf }) => {
      const first = relayOf(ledger);
      await filled(ledger, board);
      await first.stop();
      board.comesBackAs({ id: 'second', lastSequence: 0 });
      const second = relayOf(ledger);
      await waitFor(() => board.published.length === 6);
      await second.stop();
      relayOf(ledger);
      await ledger.transact(plain, command('a', 4), add(4));
      await board.has(4);
      expect(versions(board)).toEqual([1, 2, 3, 1, 2, 3, 4]);
    });

    it('with what it would still keep', async ({ ledger, board, relayOf }) => {
      relayOf(ledger);
      await filled(ledger, board);
      await ledger.pool.query(`update events set recorded_at = recorded_at - interval '1 day' where version = 1`);
      board.comesBackAs({ id: 'second', lastSequence: 0 });
      await waitFor(() => board.published.length === 5);
      expect(versions(board)).toEqual([1, 2, 3, 2, 3]);
    });
  });

  it('E2: with two replicas, leaders killed, and a bus that fails: every fact, each stream in order', async ({
    replica,
    board,
    relayOf,
  }) => {
    const replicas = [await replica(), await replica()] as const;
    const wakers: (() => void)[] = [];
    const remoteNudge = {
      send: () => wakers.forEach((wake) => void wake()),
      onReceive: (wake: () => void) => void wakers.push(wake),
    };
    for (const ledger of replicas) relayOf(ledger, remoteNudge);
    const total = 240;
    const writing = Promise.all(
      Array.from({ length: total }, async (_, n) => {
        const ledger = replicas[n % 2] ?? replicas[0];
        await ledger.transact(plain, command(`${n % 6}`, n), add(1), async (tx) => {
          await tx.query('select pg_sleep($1)', [(n % 5) / 1_000]);
        });
        if (n === 60 || n === 180) await killRelays(replicas[0]);
        if (n === 120) board.failures = 1;
      }),
    );
    await writing;
    await killRelays(replicas[1]);
    const last = await replicas[0].transact(plain, command('last', 0), add(1));
    await board.has(total + 1);
    expect(board.heard.some(({ id }) => id === last.facts[0]?.id)).toBe(true);
    inOrder(board.heard);
    expect(board.heard).toHaveLength(total + 1);
  }, 40_000);

  it('says how far it is behind', async ({ ledger, board, relayOf }) => {
    const { metrics, stop } = relayOf(ledger);
    await ledger.transact(plain, command('a', 1), add(1));
    await board.has(1);
    await stop();
    const lag = async () => {
      const text = await metrics.metrics();
      return ['facts', 'seconds'].map((what) =>
        Number(new RegExp(`^molecule_outbox_lag_${what}{.*} (.*)$`, 'm').exec(text)?.[1]),
      );
    };
    expect(await lag()).toEqual([0, 0]);
    for (const n of [2, 3]) await ledger.transact(plain, command('a', n), add(1));
    const [facts, seconds = 0] = await lag();
    expect(facts).toBe(2);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(5);
  });

  it('reports that it lives, also while another replica leads', async ({ ledger, replica, relayOf }) => {
    const relays = [relayOf(ledger), relayOf(await replica())];
    for (const { loops } of relays) {
      const before = loops.snapshot()['relay']?.lastTickAt;
      await waitFor(() => loops.snapshot()['relay']?.lastTickAt !== before);
    }
  });
});
