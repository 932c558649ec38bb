import { Beat } from '@molecule/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBeat } from './parse-beat.ts';

const metadata = fc.record(
  {
    capabilities: fc.option(fc.dictionary(fc.string(), fc.boolean())),
    idle_timeout_seconds: fc.option(fc.integer()),
  },
  { requiredKeys: [] },
);

const beat = fc.record(
  {
    workspaceId: fc.uuid(),
    receivedAt: fc.nat(),
    gateway: fc.string(),
    seq: fc.nat(),
    errorRate: fc.double({ noNaN: true, noDefaultInfinity: true }),
    sampleError: fc.string(),
    activeTasks: fc.integer(),
    uptimeSeconds: fc.integer(),
    currentTask: fc.string(),
    monthlySpend: fc.nat(),
    runtimeState: fc.string(),
    runtimeMetadata: metadata,
  },
  {
    requiredKeys: [
      'workspaceId',
      'receivedAt',
      'gateway',
      'seq',
      'errorRate',
      'sampleError',
      'activeTasks',
      'uptimeSeconds',
      'currentTask',
      'monthlySpend',
      'runtimeState',
    ],
  },
);

describe('reading a beat by hand', () => {
  it('takes every beat that the contract takes', () => {
    fc.assert(
      fc.property(beat, (one) => {
        const text = JSON.stringify(one);
        expect(Beat.safeParse(JSON.parse(text)).success).toBe(true);
        expect(parseBeat(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('takes no beat that the contract refuses', () => {
    const keys = fc.constantFrom(...Object.keys(Beat.shape));
    fc.assert(
      fc.property(beat, keys, fc.jsonValue(), (one, key, value) => {
        const text = JSON.stringify({ ...one, [key]: value });
        if (!Beat.safeParse(JSON.parse(text)).success) expect(parseBeat(text)).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => parseBeat(text) === undefined));
  });
});
