import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, UsageSum, usageOf } from './usage.ts';

describe('what a reply took', () => {
  it.each([
    [{ result: { usage: { input_tokens: 3, output_tokens: 4 } } }, { inputTokens: 3, outputTokens: 4 }],
    [{ usage: { input_tokens: 3 } }, { inputTokens: 3, outputTokens: 0 }],
    [
      { result: { usage: { output_tokens: 9 } }, usage: { output_tokens: 1 } },
      { inputTokens: 0, outputTokens: 9 },
    ],
    [{ usage: { input_tokens: 1e12, output_tokens: -5 } }, { inputTokens: 10_000_000, outputTokens: 0 }],
    [{ usage: { input_tokens: 0, output_tokens: 0 } }, null],
    [{ usage: {} }, null],
    [{ usage: { input_tokens: '3', output_tokens: 4 } }, null],
    [{ usage: { input_tokens: 1.5 } }, null],
    [{ usage: { input_tokens: Number.POSITIVE_INFINITY, output_tokens: 1 } }, null],
    [{ usage: [1, 2] }, null],
    [{ usage: 'many' }, null],
    [{ result: 'text' }, null],
    [undefined, null],
    [null, null],
  ])('of %j is %j', (reply, usage) => expect(usageOf(reply)).toEqual(usage));

  it('is never more than a reply may claim, whatever it says', () =>
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (input, output) => {
        const usage = usageOf({ result: { usage: { input_tokens: input, output_tokens: output } } });
        if (usage === null) return;
        for (const tokens of [usage.inputTokens, usage.outputTokens]) expect(tokens).toBeLessThanOrEqual(10_000_000);
        expect(usage.inputTokens + usage.outputTokens).toBeGreaterThan(0);
      }),
    ));

  it('is added up by workspace and UTC day', () => {
    const sum = new UsageSum();
    const used = { inputTokens: 1, outputTokens: 2 };
    sum.add('a', used, new Date('2026-01-01T23:59:59.999Z'));
    sum.add('a', used, new Date('2026-01-01T00:00:00Z'));
    sum.add('a', used, new Date('2026-01-02T00:00:00Z'));
    sum.add('b', used, new Date('2026-01-02T00:00:00Z'));
    expect(sum.rows()).toEqual([
      { workspaceId: 'a', day: '2026-01-01', input: 2, output: 4, calls: 2 },
      { workspaceId: 'a', day: '2026-01-02', input: 1, output: 2, calls: 1 },
      { workspaceId: 'b', day: '2026-01-02', input: 1, output: 2, calls: 1 },
    ]);
  });
});

describe('what it costs', () => {
  it.each([
    [0n, 0n, '0.000000'],
    [1n, 0n, '0.000003'],
    [1n, 1n, '0.000018'],
    [1_000_000n, 1_000_000n, '18.000000'],
    [9_007_199_254_740_993n, 0n, '27021597764.222979'],
  ])('%s in and %s out: %s', (input, output, cost) => expect(costOf(input, output)).toBe(cost));
});
