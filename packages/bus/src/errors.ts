/** What can go wrong on the bus, told apart by class: what is worth another try, and what is not. */
import { Refusal } from '@molecule/contracts';
import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

abstract class BusError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** Nobody answered in time. Whether the request was carried out is unknown. */
export class AskTimeout extends BusError {
  constructor(subject: string, timeoutMs: number) {
    super(`no answer to ${subject} within ${timeoutMs} ms`);
  }
}

/** Nobody listens: the request was not carried out. */
export class AskNoResponder extends BusError {
  constructor(subject: string) {
    super(`nobody answers ${subject}`);
  }
}

/** The request or its answer did not fit the contract, or the other side failed. Asking again changes nothing. */
export class AskRefused extends BusError {}

/** A fact larger than what travels on the bus: payloads belong elsewhere (D10). */
export class FactTooLarge extends BusError {
  constructor(fact: { readonly id: string; readonly type: string; readonly stream: string }, bytes: number, limit: number) {
    super(`fact ${fact.type} ${fact.id} of ${fact.stream} has ${bytes} bytes; the bus carries ${limit}`);
  }
}

/** What was to be read again is no longer kept. */
export class FactsGone extends BusError {
  constructor(sequence: number) {
    super(`the fact of sequence ${sequence} is no longer kept`);
  }
}

/** A stream exists with a configuration that cannot be changed in place. */
export class StreamCannotChange extends BusError {}

/** Whether the bus (or the service behind it) could not be reached: what becomes 503 `platform_unavailable`. */
export const isBusUnavailable = (error: unknown): boolean =>
  isJetStreamAway(error) ||
  error instanceof AskTimeout ||
  error instanceof AskNoResponder ||
  error instanceof errors.TimeoutError ||
  error instanceof errors.NoRespondersError ||
  error instanceof errors.ConnectionError ||
  error instanceof errors.ClosedConnectionError ||
  error instanceof errors.DrainingConnectionError ||
  (error instanceof errors.RequestError && (error.isNoResponders() || isBusUnavailable(error.cause)));

/** JetStream answers nobody (its server is starting, its cluster has no leader), or says so. */
const isJetStreamAway = (error: unknown): boolean =>
  (error instanceof JetStreamApiError && error.status === 503) ||
  (error instanceof Error && error.name === 'JetStreamNotEnabled');

/** Codes of what passes by itself: a database or a socket that is not there just now (limits §2, fault behaviour). */
const PASSING =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|UND_ERR_.*|08\w{3}|57P0\d|57014|53\w{3}|40001|40P01|55P03)$/;

const PASSING_TEXT =
  /connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error/i;

/** Whether an error will go away by waiting, so that it says nothing about the fact that was being handled. */
export function isPassing(error: unknown, depth = 0): boolean {
  if (isBusUnavailable(error)) return true;
  if (error instanceof Refusal && error.kind === 'unavailable') return true;
  if (!(error instanceof Error) || depth > 4) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && PASSING.test(code)) return true;
  if (PASSING_TEXT.test(error.message)) return true;
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every((one) => isPassing(one, depth + 1));
  return error.cause !== undefined && isPassing(error.cause, depth + 1);
}
