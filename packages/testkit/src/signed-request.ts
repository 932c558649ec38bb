/** A gateway's side of a service: requests in somebody's name, with a context as the gateway signs it. */
import { randomUUID } from 'node:crypto';
import { type Identity, principalOf, type RequestContext } from '@molecule/contracts';
import { Agent as Dialer, request } from 'undici';

export interface SignedRequest {
  /** Whole, with its path. */
  readonly url: string;
  readonly method?: string;
  readonly as: Identity;
  /** The headers that carry the context. */
  readonly sign: (context: RequestContext) => Readonly<Record<string, string>>;
  readonly principal?: Partial<RequestContext['principal']>;
  /** How far the gateway's beats had got. */
  readonly beats?: RequestContext['beats'];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SignedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; throws if it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly json: any;
}

const dialer = new Dialer({ keepAliveTimeout: 1_000 });

/** Any status is an answer; redirects are not followed. The waiting is bounded by the test's own limit, or `signal`. */
export async function signedRequest({
  url,
  method = 'GET',
  as: identity,
  sign,
  principal,
  beats = null,
  headers,
  body,
  signal,
}: SignedRequest): Promise<SignedAnswer> {
  const context: RequestContext = {
    principal: principalOf(identity, principal),
    peer: '127.0.0.1',
    requestId: randomUUID(),
    beats,
  };
  const response = await request(url, {
    method: method as 'GET',
    dispatcher: dialer,
    headers: { ...headers, ...sign(context) },
    body: body ?? null,
    signal: signal ?? null,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}
