/** How a fact looks on the bus: its subject, its headers, its body; and the one gate through which it comes back in. */
import { type AnyRecordedFact, factContract, type RecordedFact, subjects } from '@molecule/contracts';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { z } from 'zod';
import { FactTooLarge } from './errors.ts';

/** D10: facts are small. A fact's data and what it travels with. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

/** For those who look at the bus with other tools; the body alone is what we read. */
export const HEADERS = {
  type: 'Molecule-Type',
  version: 'Molecule-Version',
  stream: 'Molecule-Stream',
  correlation: 'Molecule-Correlation',
  causation: 'Molecule-Causation',
  traceparent: 'traceparent',
  /** A fact given again to one consumer that had parked it; everybody else passes it over. */
  onlyFor: 'Molecule-Only-For',
} as const;

export interface EncodedFact {
  readonly fact: RecordedFact;
  readonly subject: string;
  readonly body: string;
  readonly headers: MsgHdrs;
}

/** Throws `FactTooLarge` above 64 KiB, and a `TypeError` when the workspace id cannot be part of a subject. */
export function encodeFact(fact: RecordedFact): EncodedFact {
  const body = JSON.stringify(fact);
  const bytes = Buffer.byteLength(body);
  if (bytes > MAX_MESSAGE_BYTES) throw new FactTooLarge(fact, bytes, MAX_MESSAGE_BYTES);
  const hdrs = headers();
  hdrs.set(HEADERS.type, fact.type);
  hdrs.set(HEADERS.version, String(fact.version));
  hdrs.set(HEADERS.stream, fact.stream);
  if (fact.correlationId !== null) hdrs.set(HEADERS.correlation, fact.correlationId);
  if (fact.causationId !== null) hdrs.set(HEADERS.causation, fact.causationId);
  if (fact.traceparent !== null) hdrs.set(HEADERS.traceparent, fact.traceparent);
  return { fact, subject: subjects.fact(fact.type, fact.workspaceId), body, headers: hdrs };
}

const Envelope = z.object({
  id: z.string().min(1),
  stream: z.string().min(1),
  version: z.number().int().positive(),
  type: z.string().min(1),
  schema: z.number().int(),
  workspaceId: z.string().min(1),
  recordedAt: z.string().min(1),
  commandId: z.string(),
  correlationId: z.string().nullable(),
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
  data: z.unknown(),
});

export type Decoded =
  | { readonly kind: 'fact'; readonly fact: AnyRecordedFact }
  /** Somebody newer said it: kept in the stream, not for us. */
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'unparsable'; readonly reason: string };

/** Never throws. */
export function decodeFact(body: string): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { kind: 'unparsable', reason: 'the body is not JSON' };
  }
  const envelope = Envelope.safeParse(value);
  if (!envelope.success) return { kind: 'unparsable', reason: `the envelope is wrong: ${z.prettifyError(envelope.error)}` };
  const contract = factContract(envelope.data.type);
  if (!contract) return { kind: 'unknown', type: envelope.data.type };
  const data = contract.schema.safeParse(envelope.data.data);
  if (!data.success) return { kind: 'unparsable', reason: `the data is wrong: ${z.prettifyError(data.error)}` };
  return { kind: 'fact', fact: { ...envelope.data, data: data.data } as AnyRecordedFact };
}

/** `workspace.status.<id>` → `workspace.status`; cheap, for those who want to pass a fact over unread. */
export function typeOfSubject(subject: string): string {
  const end = subject.lastIndexOf('.');
  return end < 0 ? subject : subject.slice(0, end);
}

/** Remembers the last few thousand ids, to know a repeat that came too late for the server to drop it. */
export class RecentIds {
  readonly #limit: number;
  readonly #ids = new Set<string>();

  constructor(limit = 20_000) {
    this.#limit = limit;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size > this.#limit) for (const oldest of this.#ids) return void this.#ids.delete(oldest);
  }
}
