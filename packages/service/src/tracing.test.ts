/** Trace contexts come from outside: what is none is never taken for one. */
import { type Context, type Tracer, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { readTraceparent, recordSpan } from './tracing.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const valid = `00-${traceId}-${spanId}-01`;

describe('a trace context', () => {
  it.each([valid, `00-${traceId}-${spanId}-00`])('is taken as it is: %s', (text) => expect(readTraceparent(text)).toBe(text));
  it.each([`01-${traceId}-${spanId}-01`, `cc-${traceId}-${spanId}-01-what-is-new`])(
    'of a later version is read as ours: %s',
    (text) => expect(readTraceparent(text)).toBe(valid),
  );
  it.each([
    '',
    undefined,
    'x',
    valid.toUpperCase(),
    ` ${valid}`,
    `${valid}-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId.slice(1)}g-${spanId}-01`,
  ])('is nothing else: %s', (text) => expect(readTraceparent(text)).toBeNull());
});

describe('a span of the past', () => {
  afterEach(() => trace.disable());

  it('hangs below the trace that it belongs to, from its beginning to its end', () => {
    const told: unknown[] = [];
    const tracer = {
      startSpan: (name: string, { startTime, attributes }: { startTime: Date; attributes: object }, context: Context) => ({
        end: (to: Date) => told.push([name, startTime, to, attributes, trace.getSpanContext(context)]),
      }),
    } as unknown as Tracer;
    trace.setGlobalTracerProvider({ getTracer: () => tracer });
    const [from, to] = [new Date(1_000), new Date(2_000)];
    const span = { by: 'a2a-proxy', name: 'wait', from, to, attributes: { attempts: 1 } };
    recordSpan({ ...span, traceparent: valid });
    recordSpan({ ...span, traceparent: null });
    const parent = { traceId, spanId, traceFlags: 1, isRemote: true };
    expect(told).toEqual([
      ['wait', from, to, { attempts: 1 }, parent],
      ['wait', from, to, { attempts: 1 }, undefined],
    ]);
  });

  it('costs nothing where nobody listens', () =>
    expect(() =>
      recordSpan({ by: 'x', name: 'y', from: new Date(0), to: new Date(1), traceparent: valid, attributes: {} }),
    ).not.toThrow());
});
