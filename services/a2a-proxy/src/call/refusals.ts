/** The answers of the proxy as refusals: for routes that throw them, and for the reference. */
import { Refusal, type RefusalKind } from '@molecule/contracts';
import type { RouteDoc } from '@molecule/http';
import type { Answer } from './answer.ts';

const KINDS: Readonly<Record<number, RefusalKind>> = {
  400: 'invalid',
  401: 'unauthenticated',
  402: 'payment-required',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  429: 'too-many',
  500: 'failed',
  502: 'bad-gateway',
  503: 'unavailable',
};

/** What the reference says of an answer. */
export const refusalOf = ({ status, body }: Answer): NonNullable<RouteDoc['refusals']>[number] => {
  const { error, ...more } = JSON.parse(String(body)) as { readonly error: string };
  return [KINDS[status] ?? 'failed', error, more];
};

/** The same, to be thrown. */
export const refused = (answer: Answer): Refusal => {
  const [kind, error, body = {}] = refusalOf(answer);
  const { retryAfter } = answer;
  return new Refusal(kind, error, { body, headers: retryAfter === undefined ? {} : { 'retry-after': `${retryAfter}` } });
};
