/** Requests: the caller's side. Both ends check what they send and what they get against the one contract. */
import { Refusal, type RefusalKind, type RpcContract } from '@molecule/contracts';
import { errors } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Bus } from './connection.ts';
import { AskNoResponder, AskRefused, AskTimeout } from './errors.ts';

const DEFAULT_TIMEOUT_MS = 2_000;
const MAX_TIMEOUT_MS = 60_000;

const REFUSAL_KINDS = {
  invalid: true,
  unauthenticated: true,
  'payment-required': true,
  forbidden: true,
  'not-found': true,
  conflict: true,
  'too-large': true,
  'too-many': true,
  failed: true,
  'bad-gateway': true,
  unavailable: true,
} as const satisfies Record<RefusalKind, true>;

/** What an answer looks like on the wire. */
export const Answer = z.union([
  z.object({ ok: z.unknown() }),
  z.object({
    refusal: z.object({
      kind: z.enum(Object.keys(REFUSAL_KINDS) as [RefusalKind, ...RefusalKind[]]),
      message: z.string(),
      body: z.record(z.string(), z.unknown()),
      headers: z.record(z.string(), z.string()),
    }),
  }),
  /** The request did not fit, or the server failed: the text says which, and nothing from inside. */
  z.object({ failed: z.string() }),
]);
export type Answer = z.infer<typeof Answer>;

/**
 * Asks, and waits at most `timeoutMs` (2 s; never more than 60 s).
 * Rejects with the handler's own `Refusal`, or `AskNoResponder`, `AskTimeout`, `AskRefused`.
 */
export async function ask<Input extends z.ZodType, Output extends z.ZodType>(
  bus: Bus,
  contract: RpcContract<Input, Output>,
  input: z.input<Input>,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<z.infer<Output>> {
  const { subject } = contract;
  const checked = contract.input.safeParse(input);
  if (!checked.success) throw new AskRefused(`the request does not fit ${subject}: ${z.prettifyError(checked.error)}`);
  const timeout = Math.min(Math.max(timeoutMs, 1), MAX_TIMEOUT_MS);
  const answer = readAnswer(subject, await request(bus, subject, JSON.stringify(checked.data), timeout));
  if ('failed' in answer) throw new AskRefused(answer.failed);
  if ('refusal' in answer) {
    const { kind, message, body, headers } = answer.refusal;
    throw new Refusal(kind, message, { body, headers });
  }
  const output = contract.output.safeParse(answer.ok);
  if (!output.success) throw new AskRefused(`the answer does not fit ${subject}: ${z.prettifyError(output.error)}`);
  return output.data;
}

async function request(bus: Bus, subject: string, body: string, timeout: number): Promise<string> {
  try {
    return (await bus.nats.request(subject, body, { timeout })).string();
  } catch (error) {
    if (error instanceof errors.TimeoutError) throw new AskTimeout(subject, timeout);
    if (error instanceof errors.NoRespondersError) throw new AskNoResponder(subject);
    if (error instanceof errors.RequestError && error.isNoResponders()) throw new AskNoResponder(subject);
    if (error instanceof errors.RequestError && error.cause instanceof errors.TimeoutError)
      throw new AskTimeout(subject, timeout);
    throw error;
  }
}

function readAnswer(subject: string, text: string): Answer {
  try {
    return Answer.parse(JSON.parse(text));
  } catch {
    throw new AskRefused(`the answer to ${subject} is not one`);
  }
}
