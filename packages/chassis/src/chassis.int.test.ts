/** What services that own facts have in common, over a real bus and a real log. */
import { followFacts, listParked, openBus, publishFacts } from '@molecule/bus';
import {
  type AnyRecordedFact,
  type RecordedFact,
  type ScheduleFact,
  ScheduleId,
  scheduleFacts,
  WorkspaceId,
} from '@molecule/contracts';
import { type Aggregate, type AnyAggregate, takeOnce } from '@molecule/event-store';
import { createBasics, Scope } from '@molecule/service';
import { it as base, recordedFact, temporaryDir, waitFor, withNats } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { openChassis } from './chassis.ts';

type Tables = Record<never, never>;

const schedules: Aggregate<Tables, null, ScheduleFact> = {
  noun: 'schedule',
  family: scheduleFacts,
  fold: { initial: null, evolve: (state) => state },
  inline: [],
  workspaceOf: (_id, fact) => fact.data.workspaceId,
};

/** `it` with a way to open the chassis of a service over a bus. */
const it = base.extend('open', async ({ postgresUrl, log }, { onCleanup }) => {
  const { dir: migrations, remove } = temporaryDir();
  const scope = new Scope();
  onCleanup(async () => {
    await scope.close();
    remove();
  });
  return async (natsUrl: string) => {
    const basics = createBasics('scheduler', { level: 'silent', log });
    const config = {
      NATS_URL: natsUrl,
      DATABASE_URL: postgresUrl,
      MOLECULE_INTERNAL_KEY: 'a key that only our services know',
      HOST: '127.0.0.1',
      PORT: 0,
      OPS_PORT: 0,
    };
    const aggregates = [schedules as AnyAggregate<Tables>];
    return openChassis<Tables>({ service: 'scheduler', migrations, aggregates }, config, basics, scope);
  };
});

const workspaceId = WorkspaceId.parse(crypto.randomUUID());
const exited = () => recordedFact({ type: 'container.exited', data: { workspaceId, run: 1 } }, { workspaceId, version: 1 });

describe('hearing', () => {
  it('waits while the database takes no writes, and sets no fact aside', async ({ open, natsUrl, bus, log }) => {
    const chassis = await open(natsUrl);
    const heard: string[] = [];
    const sources = new Set<string>();
    const stopping = new AbortController();
    const publish = publishFacts(bus, log, stopping.signal);
    chassis.hear(['container.exited'], async (facts) => {
      for (const fact of facts) {
        await takeOnce(chassis.ledger.db, { reader: 'test', factId: fact.id });
        heard.push(fact.id);
        sources.add(fact.source);
      }
    });
    const before = exited();
    await publish([before]);
    await waitFor(() => heard.length === 1);

    const admin = await chassis.ledger.pool.connect();
    const { rows } = await admin.query<{ name: string }>('select quote_ident(current_database()) as name');
    const takesWrites = async (yes: boolean) => {
      await admin.query('set default_transaction_read_only = off');
      await admin.query(`alter database ${rows[0]?.name} set default_transaction_read_only = ${yes ? 'off' : 'on'}`);
      await admin.query(`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and application_name not like '%.facts'`);
    };
    await takesWrites(false);
    const during = exited();
    await publish([during]);
    // Said after the third attempt; who takes it for the fact's fault has set it aside by then.
    await waitFor(() => /waiting for what its handler needs/.test(chassis.bus.healthy().detail), { timeoutMs: 15_000 });
    await takesWrites(true);
    await waitFor(() => heard.length === 2, { timeoutMs: 15_000 });
    admin.release();
    stopping.abort();
    expect(heard).toEqual([before.id, during.id]);
    expect(await listParked(bus)).toEqual([]);
    expect([...sources]).toEqual([expect.stringMatching(/^FACTS@/)]);
  }, 40_000);
});

describe('a bus that lost its disk', () => {
  it('gets its streams back under a running service, and everything that was said, in order', async ({ open, log }) => {
    const nats = await withNats();
    const stopping = new AbortController();
    const observer = await openBus({ servers: nats.url, name: 'observer', log });
    try {
      const { ledger } = await open(nats.url);
      const heard: RecordedFact[] = [];
      await followFacts(observer, {
        log,
        signal: stopping.signal,
        onFact: (fact: AnyRecordedFact) => heard.push(fact),
        onGap: () => {},
      });
      const scheduleId = ScheduleId.parse(crypto.randomUUID());
      const say = (n: number) =>
        ledger.transact(schedules, { id: scheduleId, commandId: `${n}` }, () => [
          { type: 'schedule.deleted', data: { scheduleId, workspaceId, name: `${n}` } } as const,
        ]);
      for (const n of [1, 2, 3]) await say(n);
      await waitFor(() => heard.length === 3);

      await nats.stop();
      await say(4);
      await nats.start({ empty: true });
      await waitFor(async () => (await observer.jsm.streams.info('FACTS').catch(() => undefined))?.state.messages === 4, {
        timeoutMs: 20_000,
        what: 'FACTS to be filled again',
      });
      await say(5);
      const stored = async (sequence: number) =>
        (await observer.jsm.streams.getMessage('FACTS', { seq: sequence }))?.json<RecordedFact>().version;
      await waitFor(async () => (await observer.jsm.streams.info('FACTS')).state.messages === 5);
      expect(await Promise.all([1, 2, 3, 4, 5].map(stored))).toEqual([1, 2, 3, 4, 5]);
    } finally {
      stopping.abort();
      await observer.close();
      await nats.dispose();
    }
  }, 60_000);
});
