import {
  Beat,
  type LiveEvent,
  type RecordedWorkspaceFact,
  type WorkspaceFact,
  WorkspaceId,
  type WorkspaceStatus,
} from '@molecule/contracts';
import { manualClock } from '@molecule/testkit';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Decision } from './decisions.ts';
import { Fleet } from './fleet.ts';
import { Pulse } from './pulse.ts';
import { aWorkspace } from './status.fixtures.ts';
import { type LiveStatus, workspaceFold } from './workspace.ts';

const id = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const NOON = Date.parse('2026-03-02T12:00:00Z');
const LEASE_MS = 180_000;

let seq = 0;
const aBeat = (differs: Partial<Beat> = {}): Beat =>
  Beat.parse({
    workspaceId: id,
    receivedAt: NOON,
    gateway: 'g',
    seq: ++seq,
    errorRate: 0,
    sampleError: '',
    activeTasks: 0,
    uptimeSeconds: 0,
    currentTask: '',
    monthlySpend: 0,
    runtimeState: '',
    ...differs,
  });
const record = (fact: WorkspaceFact, version: number, at = NOON - 1_000): RecordedWorkspaceFact =>
  ({
    ...fact,
    id: `${version}`,
    stream: `workspace.${id}`,
    version,
    schema: 1,
    workspaceId: id,
    recordedAt: new Date(at).toISOString(),
  }) as unknown as RecordedWorkspaceFact;
const created = (status: WorkspaceStatus): WorkspaceFact => ({ type: 'workspace.created', data: { status } as never });

/** A pulse over one workspace whose store keeps the log in memory, and says when it may go on. */
function aPulse(status: LiveStatus = 'online') {
  const fleet = new Fleet();
  const clock = manualClock(new Date(NOON));
  const said: LiveEvent[] = [];
  const stored: { commandId: string; facts: readonly WorkspaceFact[] }[] = [];
  let state = aWorkspace({ status }) as Parameters<Decision>[0];
  let version = 1;
  const doors: (() => void)[] = [];
  let ajar = true;
  const store = {
    change: async (_id: WorkspaceId, { commandId }: { commandId: string }, decide: Decision) => {
      if (!ajar) await new Promise<void>((resolve) => doors.push(resolve));
      const facts = decide(state);
      stored.push({ commandId, facts });
      const recorded = facts.map((fact) => record(fact, ++version));
      for (const fact of facts) state = workspaceFold.evolve(state, fact);
      fleet.apply(recorded);
      return { version, facts: recorded, repeated: false } as never;
    },
  };
  const pulse = new Pulse({
    fleet,
    store,
    live: { say: (event) => said.push(event) },
    clock,
    log: pino({ level: 'silent' }),
    leaseMs: LEASE_MS,
  });
  pulse.leading = true;
  const db = { selectFrom: () => chain } as never;
  const chain: object = new Proxy({}, { get: (_, key) => (key === 'execute' ? async () => [] : () => chain) });
  return {
    pulse,
    fleet,
    said,
    stored,
    ready: async () => {
      await fleet.read(db);
      fleet.apply([record(created(status), 1)]);
    },
    shut: () => {
      ajar = false;
    },
    open: () => {
      ajar = true;
      for (const door of doors.splice(0)) door();
    },
    /** Something else moved it, in another replica. */
    happen: (fact: WorkspaceFact, at: number) => {
      state = workspaceFold.evolve(state, fact);
      fleet.apply([record(fact, ++version, at)]);
    },
    clock,
    live: (differs: Partial<Beat> = {}) => pulse.hear(aBeat(differs), { replayed: false }),
    again: (differs: Partial<Beat> = {}) => pulse.hear(aBeat(differs), { replayed: true }),
  };
}

describe('a beat', () => {
  it('P1: that moves nothing is done at once, and touches no store', async () => {
    const { live, ready, stored, said } = aPulse();
    await ready();
    for (let n = 0; n < 100; n++) expect(live({ errorRate: 0.3 })).toBeUndefined();
    expect(stored).toEqual([]);
    expect(said).toHaveLength(100);
  });

  it('P2: waits for what the one before moved, and is told of after it', async () => {
    const { live, ready, stored, said, shut, open } = aPulse();
    await ready();
    shut();
    const beats = [live({ errorRate: 1, uptimeSeconds: 1 }), live({ uptimeSeconds: 2 }), live({ uptimeSeconds: 3 })];
    expect(said).toEqual([]);
    open();
    await Promise.all(beats);
    expect(stored.map(({ facts }) => facts.map(({ data }) => 'to' in data && data.to))).toEqual([['degraded'], ['online']]);
    expect(said.map(({ payload, after }) => [payload['uptime_seconds'], after])).toEqual([
      [1, 2],
      [2, 3],
      [3, 3],
    ]);
  });

  it('P3: names its command after itself, and only the leader speaks', async () => {
    const { live, ready, stored, said, pulse } = aPulse('offline');
    await ready();
    pulse.leading = false;
    await live({ gateway: 'g7', seq: 42 });
    expect(stored[0]?.commandId).toBe('beat.g7.42');
    expect(said).toEqual([]);
  });

  it('P4: heard again counts only for what happened before it came', async () => {
    const old = { receivedAt: NOON - 5_000, monthlySpend: 7 };
    const offline = aPulse('offline');
    await offline.ready();
    expect(offline.again(old)).toBeUndefined();
    expect(offline.fleet.vitals(id)?.monthlySpend).toBe(7);
    await offline.again({ receivedAt: NOON });
    expect(offline.stored).toHaveLength(1);
    expect(offline.said).toEqual([]);
    expect(offline.again(old)).toBeUndefined();
    expect(offline.fleet.vitals(id)).toMatchObject({ lastBeatAt: NOON, monthlySpend: 7 });
  });

  it('P5: is judged by what was declared before, which lapses with the lease and ends with a register', async () => {
    const native = { runtimeMetadata: { capabilities: { status_mgmt: true } } };
    const { live, ready, fleet, happen, clock } = aPulse();
    await ready();
    const status = () => fleet.get(id)?.status;
    live(native);
    expect(live({ errorRate: 1, ...native })).toBeUndefined();
    clock.advance(LEASE_MS + 1);
    await live({ errorRate: 1, ...native });
    expect(status()).toBe('degraded');

    happen({ type: 'workspace.registered', data: {} as never }, NOON + 2 * LEASE_MS);
    expect(status()).toBe('online');
    clock.advance(LEASE_MS);
    await live({ errorRate: 1 });
    expect(status()).toBe('degraded');
  });

  it('of a workspace not heard of yet is taken in when it is', async () => {
    const { live, ready, fleet, stored } = aPulse('provisioning');
    expect(live({ activeTasks: 3 })).toBeUndefined();
    await ready();
    await fleet.get(id)?.pending;
    expect(stored).toHaveLength(1);
    expect(fleet.vitals(id)?.activeTasks).toBe(3);
  });

  it('leaves texts that can be stored, and gives back what was not', async () => {
    const { live, ready, pulse } = aPulse();
    await ready();
    live({ currentTask: 'a\0b\ud800', sampleError: 'x'.repeat(10_000), activeTasks: 2 ** 40 });
    const changed = pulse.takeChanged();
    const [member] = changed;
    expect(member?.vitals).toMatchObject({ currentTask: 'a\uFFFDb\uFFFD', activeTasks: 2_147_483_647 });
    expect(member?.vitals?.sampleError).toHaveLength(4_096);
    expect(pulse.takeChanged().size).toBe(0);
    pulse.giveBack(changed);
    live({ currentTask: 'newer' });
    expect([...pulse.takeChanged()]).toMatchObject([{ id, vitals: { currentTask: 'newer' } }]);
  });

  it('are nobody’s who was removed since: a purge is not followed by a row', async () => {
    const { live, ready, pulse, fleet } = aPulse();
    await ready();
    live({ currentTask: 'the last' });
    fleet.apply([record({ type: 'workspace.removed', data: { from: 'online' } }, 2)]);
    expect(pulse.takeChanged().size).toBe(0);
  });
});

describe('P6: a gateway whose clock is off', () => {
  it.each([-3_600_000, 3_600_000])('by %d ms says nothing about when a beat came', async (off) => {
    const { live, again, ready, fleet, clock } = aPulse();
    await ready();
    live({ receivedAt: NOON + off });
    expect(fleet.vitals(id)?.lastBeatAt).toBe(NOON);
    clock.advance(1_000);
    live({ receivedAt: NOON, gateway: 'right' });
    expect(fleet.vitals(id)?.lastBeatAt).toBe(NOON + 1_000);
    clock.advance(1_000);
    again({ receivedAt: NOON + 3_600_000, gateway: 'ahead' });
    expect(fleet.vitals(id)?.lastBeatAt).toBe(NOON + 2_000);
  });
});

describe('P6: our own clock', () => {
  const native = { runtimeMetadata: { capabilities: { status_mgmt: true } } };
  it.each([-3_600_000, -5_000, 3_600_000])('set by %d ms ends no lease and prolongs none', async (step) => {
    const { live, ready, fleet, clock, stored } = aPulse();
    await ready();
    live(native);
    clock.set(new Date(clock.now().getTime() + step));
    clock.advance(LEASE_MS);
    expect(live({ errorRate: 1 })).toBeUndefined();
    expect(stored).toEqual([]);
    clock.set(new Date(clock.now().getTime() - step));
    clock.advance(LEASE_MS + 1);
    await live({ errorRate: 1 });
    expect(fleet.get(id)?.status).toBe('degraded');
  });
});

describe('the fleet', () => {
  it('F1: takes an own commit that overtakes another replica’s, and still hears of the status before it', async () => {
    const { fleet, ready } = aPulse('online');
    await ready();
    const offline: WorkspaceFact = {
      type: 'workspace.status',
      data: { from: 'online', to: 'offline', reason: 'liveness-lost', clearsUrl: false, event: null },
    };
    fleet.apply([record({ type: 'workspace.card', data: { agentCard: 1 } }, 3)]);
    expect(fleet.get(id)).toMatchObject({ version: 3, status: 'online' });
    fleet.apply([record(offline, 2)]);
    expect(fleet.get(id)).toMatchObject({ version: 3, status: 'offline' });
    fleet.apply([record({ type: 'workspace.registered', data: {} as never }, 4), record(offline, 2)]);
    expect(fleet.get(id)).toMatchObject({ version: 4, status: 'online' });
  });
});
