/** Refusals a caller can act on. What else is thrown is a defect, and reaches them as a bare 500. */

export type RefusalKind =
  | 'invalid'
  | 'unauthenticated'
  | 'payment-required'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'too-many'
  | 'failed'
  | 'bad-gateway'
  | 'unavailable';

export interface RefusalOptions {
  /** Further members of the JSON body, beside `error`. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Response headers, such as `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** `message` is the exact text of the wire (`{"error":"<message>"}`), as the specification gives it. */
export class Refusal extends Error {
  readonly kind: RefusalKind;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(kind: RefusalKind, message: string, { body = {}, headers = {}, cause }: RefusalOptions = {}) {
    super(message, { cause });
    this.kind = kind;
    this.body = body;
    this.headers = headers;
  }

  override get name(): string {
    return 'Refusal';
  }
}

/** Spec 1 §4.9: what depends on a store that cannot be reached now. The canvas keys on `code`. */
export const platformUnavailable = (cause?: unknown): Refusal =>
  new Refusal('unavailable', 'platform datastore unavailable — retry shortly', { body: { code: 'platform_unavailable' }, cause });
