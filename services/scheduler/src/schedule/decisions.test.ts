import type { ScheduleFact, ScheduleId, WorkspaceId } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { scenario } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as decisions from './decisions.ts';
import { schedule } from './schedule.ts';

const { given } = scenario(schedule.fold);

const about = {
  scheduleId: '5d1f2c3b-0000-4000-8000-000000000001' as ScheduleId,
  workspaceId: '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as WorkspaceId,
  name: 'stand-up',
};
const nine = '2026-03-02T09:00:00.000Z';
const ten = '2026-03-02T10:00:00.000Z';

const created = (enabled = true): ScheduleFact => ({
  type: 'schedule.created',
  data: { ...about, cronExpr: '0 * * * *', timezone: 'UTC', enabled, source: 'runtime', nextRunAt: nine },
});
const due = (worker: string): ScheduleFact => ({
  type: 'schedule.due',
  data: { ...about, dueAt: nine, nextRunAt: ten, worker, messageId: 'm' },
});
const claim = { now: nine, nextRunAt: ten, worker: 'a', messageId: 'm' };
const ending = { worker: 'a', dueAt: nine, ranAt: nine, nextRunAt: ten };
const fired = (empty = false): ScheduleFact => ({
  type: 'schedule.fired',
  data: { ...about, dueAt: nine, status: 'ok', error: '', empty, ranAt: nine, nextRunAt: ten },
});

describe('claiming what is due', () => {
  it('takes the due instant and moves on to the next', () => given(created()).when(decisions.claim(claim)).then(due('a')));
  it('is refused silently before it is due', () =>
    given(created())
      .when(decisions.claim({ ...claim, now: '2026-03-02T08:59:59.999Z' }))
      .thenNothing());
  it('is refused silently while somebody has it (I7)', () =>
    given(created(), due('b')).when(decisions.claim(claim)).thenNothing());
  it('is refused silently when disabled', () => given(created(false)).when(decisions.claim(claim)).thenNothing());
  it('is refused silently once deleted', () =>
    given(created(), { type: 'schedule.deleted', data: about }).when(decisions.claim(claim)).thenNothing());
});

describe('ending a run', () => {
  it('records an answer', () =>
    given(created(), due('a'))
      .when(decisions.fire({ ...ending, error: '', empty: false }))
      .then(fired()));

  it('records an error', () =>
    given(created(), due('a'))
      .when(decisions.fire({ ...ending, error: 'failed to reach workspace agent', empty: false }))
      .then({
        type: 'schedule.fired',
        data: {
          ...about,
          dueAt: nine,
          status: 'error',
          error: 'failed to reach workspace agent',
          empty: false,
          ranAt: nine,
          nextRunAt: ten,
        },
      }));

  it('becomes stale with the third empty answer in a row', () =>
    given(created(), due('a'), fired(true), due('a'), fired(true), due('a'))
      .when(decisions.fire({ ...ending, error: '', empty: true }))
      .then({
        type: 'schedule.fired',
        data: {
          ...about,
          dueAt: nine,
          status: 'stale',
          error: 'empty response 3 consecutive times — agent may be phantom-producing',
          empty: true,
          ranAt: nine,
          nextRunAt: ten,
        },
      }));

  it('is refused silently to a worker that lost the occurrence', () =>
    given(created(), due('a'), due('b'))
      .when(decisions.fire({ ...ending, error: '', empty: false }))
      .thenNothing());

  it('skips a busy agent', () =>
    given(created(), due('a'))
      .when(decisions.skipBusy({ ...ending, activeTasks: 2 }))
      .then({
        type: 'schedule.skipped',
        data: { ...about, dueAt: nine, reason: 'busy', activeTasks: 2, ranAt: nine, nextRunAt: ten },
      }));
});

describe('an occurrence that waited until its schedule was disabled', () => {
  it('is skipped, by who holds it', () => {
    const disabled: ScheduleFact = { type: 'schedule.disabled', data: { ...about, reason: 'workspace-removed' } };
    given(created(), due('a'), disabled)
      .when(decisions.skipDisabled(ending))
      .then({
        type: 'schedule.skipped',
        data: { ...about, dueAt: nine, reason: 'disabled', activeTasks: 0, ranAt: nine, nextRunAt: ten },
      });
    given(created(), due('b'), disabled).when(decisions.skipDisabled(ending)).thenNothing();
  });
});

describe('leaving it to a runtime that has its own scheduler', () => {
  it('only advances', () =>
    given(created())
      .when(decisions.leaveToRuntime({ now: nine, nextRunAt: ten }))
      .then({
        type: 'schedule.skipped',
        data: { ...about, dueAt: nine, reason: 'native-scheduler', activeTasks: 0, ranAt: nine, nextRunAt: ten },
      }));
  it('has nothing to do before it is due', () =>
    given(created())
      .when(decisions.leaveToRuntime({ now: '2026-03-02T08:00:00.000Z', nextRunAt: ten }))
      .thenNothing());
});

describe('taking over from a dead worker', () => {
  it('keeps the due instant and the message id', () =>
    given(created(), due('b')).when(decisions.takeOver('b', 'a')).then(due('a')));
  it('has nothing to do when somebody else was quicker', () =>
    given(created(), due('c')).when(decisions.takeOver('b', 'a')).thenNothing());
  it('has nothing to do when the run ended', () =>
    given(created(), due('b'), fired()).when(decisions.takeOver('b', 'a')).thenNothing());
});

describe('triggering', () => {
  const early = '2026-03-02T08:30:00.000Z';
  const later = '2026-03-02T09:10:00.000Z';
  const triggered = (nextRunAt: string): ScheduleFact => ({ type: 'schedule.triggered', data: { ...about, nextRunAt } });

  it('makes it due now', () =>
    given(created())
      .when(decisions.trigger({ now: early }))
      .then(triggered(early)));
  it('leaves it due since when it was due', () =>
    given(created())
      .when(decisions.trigger({ now: later }))
      .then(triggered(nine)));
  it('does not wake what is disabled or deleted', () => {
    given(created(false))
      .when(decisions.trigger({ now: early }))
      .thenNothing();
    given(created(), { type: 'schedule.deleted', data: about })
      .when(decisions.trigger({ now: early }))
      .thenNothing();
  });
  it('of one that runs makes it due when the run ends, and not at its next time, whoever ends it', () => {
    given(created(), due('a'))
      .when(decisions.trigger({ now: later }))
      .then(triggered(later));
    const again = given(created(), due('a'), triggered(later));
    const { data } = fired();
    again
      .when(decisions.fire({ ...ending, error: '', empty: false }))
      .then({ type: 'schedule.fired', data: { ...data, nextRunAt: later } } as ScheduleFact);
    again.when(decisions.skipBusy({ ...ending, activeTasks: 1 })).then({
      type: 'schedule.skipped',
      data: { ...about, dueAt: nine, reason: 'busy', activeTasks: 1, ranAt: nine, nextRunAt: later },
    });
    const tookOver: ScheduleFact = {
      type: 'schedule.due',
      data: { ...about, dueAt: nine, nextRunAt: later, worker: 'b', messageId: 'm' },
    };
    given(created(), due('a'), triggered(later)).when(decisions.takeOver('a', 'b')).then(tookOver);
    given(created(), due('a'), triggered(later), tookOver)
      .when(decisions.fire({ ...ending, worker: 'b', error: '', empty: false }))
      .then({ type: 'schedule.fired', data: { ...data, nextRunAt: later } } as ScheduleFact);
  });
  it('never makes an instant due that was due already: it would be the same message (I7)', () => {
    const after = '2026-03-02T09:00:00.001Z';
    given(created(), due('a'))
      .when(decisions.trigger({ now: nine }))
      .then(triggered(after));
    given(created(), due('a'), fired())
      .when(decisions.trigger({ now: nine }))
      .then(triggered(after));
  });
});

describe('removing', () => {
  it('deletes', () => given(created()).when(decisions.remove).then({ type: 'schedule.deleted', data: about }));
  it('ends the occurrence in progress: its worker has nothing to say any more (I7)', () => {
    const deleted: ScheduleFact = { type: 'schedule.deleted', data: about };
    given(created(), due('a')).when(decisions.remove).then(deleted);
    const gone = given(created(), due('a'), deleted);
    gone.when(decisions.fire({ ...ending, error: '', empty: false })).thenNothing();
    gone.when(decisions.skipBusy({ ...ending, activeTasks: 1 })).thenNothing();
    gone.when(decisions.skipDisabled(ending)).thenNothing();
    gone.when(decisions.takeOver('a', 'b')).thenNothing();
  });
  it('disables with its workspace, once', () => {
    const disabled: ScheduleFact = { type: 'schedule.disabled', data: { ...about, reason: 'workspace-removed' } };
    given(created()).when(decisions.disableForRemoval).then(disabled);
    given(created(), disabled).when(decisions.disableForRemoval).thenNothing();
  });
});

describe('whatever workers do, and whenever', () => {
  it('ends each due instant once, with the schedule at the latest, or still holds it (I7)', () => {
    const step = fc.record({
      act: fc.constantFrom(
        'claim',
        'claim',
        'takeOver',
        'fire',
        'skip',
        'skipDisabled',
        'native',
        'trigger',
        'disable',
        'remove',
      ),
      worker: fc.constantFrom('a', 'b'),
      minutesLater: fc.integer({ min: 0, max: 90 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const facts: ScheduleFact[] = [created()];
        let at = Date.parse(nine);
        for (const { act, worker, minutesLater } of steps) {
          at += minutesLater * 60_000;
          const now = new Date(at).toISOString();
          const nextRunAt = new Date(at + 3_600_000).toISOString();
          const state = replay(schedule.fold, facts);
          const ending = { worker, dueAt: state.status === 'running' ? state.occurrence.dueAt : now, ranAt: now, nextRunAt };
          const decide = {
            claim: decisions.claim({ now, nextRunAt, worker, messageId: 'm' }),
            takeOver: decisions.takeOver(worker === 'a' ? 'b' : 'a', worker),
            fire: decisions.fire({ ...ending, error: '', empty: false }),
            skip: decisions.skipBusy({ ...ending, activeTasks: 1 }),
            skipDisabled: decisions.skipDisabled(ending),
            native: decisions.leaveToRuntime({ now, nextRunAt }),
            trigger: decisions.trigger({ now }),
            disable: decisions.disableForRemoval,
            remove: state.status === 'deleted' ? () => [] : decisions.remove,
          }[act];
          facts.push(...decide(state));
        }
        const instantsOf = (...types: string[]) =>
          facts.flatMap(({ type, data }) => (types.includes(type) && 'dueAt' in data ? [data.dueAt] : []));
        const ended = instantsOf('schedule.fired', 'schedule.skipped');
        expect(new Set(ended).size).toBe(ended.length);

        const state = replay(schedule.fold, facts);
        // The deletion is the last word, and what was in progress ended with it.
        const deletedAt = facts.findIndex(({ type }) => type === 'schedule.deleted');
        if (deletedAt !== -1) {
          expect(deletedAt).toBe(facts.length - 1);
          expect(state).toEqual({ status: 'deleted' });
          const before = replay(schedule.fold, facts.slice(0, -1));
          if (before.status === 'running') ended.push(before.occurrence.dueAt);
          expect(new Set(ended).size).toBe(ended.length);
        }
        const held = state.status === 'running' ? [state.occurrence.dueAt] : [];
        for (const claimed of instantsOf('schedule.due')) expect([...ended, ...held]).toContain(claimed);
      }),
    );
  });
});
