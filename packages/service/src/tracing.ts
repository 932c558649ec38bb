/**
 * Traces, as W3C trace context has them: which are valid, and how something that is over is told as a span. Only the API of
 * OpenTelemetry: where no exporter is set up, nothing is made.
 */
import { type Attributes, type Context, ROOT_CONTEXT, trace } from '@opentelemetry/api';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** `null` for what is no trace context. What a later version of it has to say beyond is left out, as that asks for. */
export function readTraceparent(text: string | undefined): string | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(text ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return `00-${traceId}-${spanId}-${flags}`;
}

/** The span that a trace context names, as the parent of others. */
function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = readTraceparent(traceparent ?? undefined)?.split('-') ?? [];
  if (!traceId || !spanId || !flags) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true });
}

export interface PastSpan {
  /** The part of Molecule that tells of it. */
  readonly by: string;
  readonly name: string;
  readonly from: Date;
  readonly to: Date;
  /** Of what it belongs to, if that was part of a trace. */
  readonly traceparent: string | null;
  readonly attributes: Attributes;
}

/** Tells of something that is over. */
export function recordSpan({ by, name, from, to, traceparent, attributes }: PastSpan): void {
  trace.getTracer(by).startSpan(name, { startTime: from, attributes }, contextOf(traceparent)).end(to);
}
