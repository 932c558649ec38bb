import { type Beat, Capability } from '@molecule/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyBeat as apply, type RuntimeState, withDeclarations, withoutDeclarations } from './runtime-state.ts';
import { aBeat } from './test-beats.ts';

const LEASE_MS = 180_000;
/** Heard when the gateway says. */
const applyBeat = (state: RuntimeState | undefined, beat: Beat) =>
  apply(state, beat, { leaseMs: LEASE_MS, at: beat.receivedAt, heardMs: beat.receivedAt });
const fold = (beats: readonly Beat[]) =>
  beats.reduce<RuntimeState | undefined>((state, beat) => applyBeat(state, beat), undefined);

describe('what is known of a runtime', () => {
  it('is what its last full beat declared', () => {
    const state = applyBeat(
      undefined,
      aBeat({ runtimeMetadata: { capabilities: { session: true, retry: false }, idle_timeout_seconds: 600 } }),
    );
    expect([...(state.capabilities ?? [])]).toEqual(['session']);
    expect(state.idleTimeoutMs).toBe(600_000);
  });

  it('K1: stays when a partial beat says nothing of it', () => {
    const full = applyBeat(undefined, aBeat({ runtimeMetadata: { capabilities: { session: true }, idle_timeout_seconds: 600 } }));
    const state = applyBeat(full, aBeat({ activeTasks: 3 }));
    expect(state.capabilities).toBe(full.capabilities);
    expect(state.idleTimeoutMs).toBe(600_000);
    expect(state.activeTasks).toBe(3);
  });

  it.each([
    ['K2: no capabilities clear the flags and not the timeout', { idle_timeout_seconds: 5 }, undefined, 5_000],
    ['K2: empty capabilities clear the flags', { capabilities: {}, idle_timeout_seconds: 5 }, undefined, 5_000],
    ['K2: null capabilities clear the flags', { capabilities: null, idle_timeout_seconds: 5 }, undefined, 5_000],
    ['K2: no timeout clears the timeout and not the flags', { capabilities: { scheduler: true } }, ['scheduler'], undefined],
    ['K2: a timeout of 0 clears it', { capabilities: { scheduler: true }, idle_timeout_seconds: 0 }, ['scheduler'], undefined],
    [
      'K2: a negative timeout clears it',
      { capabilities: { scheduler: true }, idle_timeout_seconds: -9 },
      ['scheduler'],
      undefined,
    ],
    ['K2: flags that are not known count for nothing', { capabilities: { magic: true } }, undefined, undefined],
  ])('%s', (_, runtimeMetadata, capabilities, idleTimeoutMs) => {
    const before = applyBeat(
      undefined,
      aBeat({ runtimeMetadata: { capabilities: { session: true }, idle_timeout_seconds: 600 } }),
    );
    const state = applyBeat(before, aBeat({ runtimeMetadata }));
    expect(state.capabilities && [...state.capabilities]).toEqual(capabilities);
    expect(state.idleTimeoutMs).toBe(idleTimeoutMs);
  });

  it('keeps the last monthly spend that was not 0', () => {
    const state = fold([aBeat({ monthlySpend: 120 }), aBeat({ monthlySpend: 0 })]);
    expect(state?.monthlySpend).toBe(120);
  });

  it('K3: does not come back with a partial beat after the lease ran out', () => {
    const full = aBeat({ receivedAt: 1_000, runtimeMetadata: { capabilities: { session: true }, idle_timeout_seconds: 600 } });
    expect(fold([full, aBeat({ receivedAt: 1_000 + LEASE_MS })])?.capabilities).toBeDefined();
    const state = fold([full, aBeat({ receivedAt: 1_001 + LEASE_MS })]);
    expect(state).toEqual({ lastBeatAt: 1_001 + LEASE_MS, heardMs: 1_001 + LEASE_MS, activeTasks: 0, monthlySpend: 0 });
  });
});

const metadata = fc.record(
  {
    capabilities: fc.option(fc.dictionary(fc.oneof(fc.constantFrom<string>(...Capability.options), fc.string()), fc.boolean())),
    idle_timeout_seconds: fc.option(fc.integer({ min: -10, max: 1_000 })),
  },
  { requiredKeys: [] },
);
const beats = fc
  .array(
    fc.record({
      afterMs: fc.nat({ max: 2 * LEASE_MS }),
      activeTasks: fc.nat(),
      monthlySpend: fc.nat({ max: 5 }),
      runtimeMetadata: fc.option(metadata),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((steps) => {
    let receivedAt = 0;
    return steps.map(({ afterMs, runtimeMetadata, ...figures }) => {
      receivedAt += afterMs;
      return aBeat({ receivedAt, ...figures, ...(runtimeMetadata === null ? {} : { runtimeMetadata }) });
    });
  });

describe('folding beats, whatever they are', () => {
  it('is what the beats since the last declaration amount to', () => {
    fc.assert(
      fc.property(beats, (all) => {
        const state = fold(all);
        // The last beat that declared anything, if no lease ran out after it.
        let declared: Beat['runtimeMetadata'];
        all.forEach((beat, i) => {
          if (i > 0 && beat.receivedAt - (all[i - 1]?.receivedAt ?? 0) > LEASE_MS) declared = undefined;
          if (beat.runtimeMetadata !== undefined) declared = beat.runtimeMetadata;
        });
        const flags = Capability.options.filter((name) => declared?.capabilities?.[name] === true);
        expect(state?.capabilities ? [...state.capabilities] : []).toEqual(flags);
        const idle = declared?.idle_timeout_seconds ?? 0;
        expect(state?.idleTimeoutMs).toBe(idle > 0 ? idle * 1_000 : undefined);
        expect(state?.activeTasks).toBe(all.at(-1)?.activeTasks);
        expect(state?.monthlySpend).toBe(all.findLast(({ monthlySpend }) => monthlySpend > 0)?.monthlySpend ?? 0);
        expect(state?.lastBeatAt).toBe(all.at(-1)?.receivedAt);
      }),
    );
  });

  it('K4: keeps nothing by reference, and nothing that says nothing', () => {
    fc.assert(
      fc.property(beats, (all) => {
        const state = fold(all);
        const before = structuredClone(state);
        for (const { runtimeMetadata } of all) {
          for (const name of Capability.options) if (runtimeMetadata?.capabilities) runtimeMetadata.capabilities[name] = true;
          if (runtimeMetadata) runtimeMetadata.idle_timeout_seconds = 77;
        }
        expect(state).toEqual(before);
        if (state && 'capabilities' in state) expect(state.capabilities?.size).toBeGreaterThan(0);
        if (state && 'idleTimeoutMs' in state) expect(state.idleTimeoutMs).toBeGreaterThan(0);
      }),
    );
  });

  it('leaves the figures, and nothing declared, when an agent registers', () => {
    fc.assert(
      fc.property(beats, (all) => {
        const state = fold(all);
        if (!state) return;
        expect(Object.keys(withoutDeclarations(state)).toSorted()).toEqual([
          'activeTasks',
          'heardMs',
          'lastBeatAt',
          'monthlySpend',
        ]);
        expect(withoutDeclarations(state)).toMatchObject({ lastBeatAt: state.lastBeatAt, activeTasks: state.activeTasks });
      }),
    );
  });

  it('takes what an older beat declared, and keeps the figures of the newer ones', () => {
    const newer = applyBeat(undefined, aBeat({ receivedAt: 2_000, activeTasks: 3 }));
    const state = withDeclarations(
      newer,
      aBeat({ receivedAt: 1_000, activeTasks: 0, runtimeMetadata: { capabilities: { session: true } } }),
    );
    expect([...(state.capabilities ?? [])]).toEqual(['session']);
    expect(state).toMatchObject({ lastBeatAt: 2_000, activeTasks: 3 });
    expect(withDeclarations(newer, aBeat({ receivedAt: 1_000 }))).toBe(newer);
  });
});
