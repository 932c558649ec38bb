/**
 * What a route says of itself beside what checks it: the reference documents are made of this, of its auth class and of the very
 * schema that validates its body.
 */
import type { RefusalKind } from '@molecule/contracts';
import type { MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import type { WithContext } from './context.ts';

export interface RouteDoc {
  /** One sentence, in the imperative: `List the live tokens of a workspace`. */
  readonly summary: string;
  readonly description?: string;
  /** Where it is specified: `spec 1 §4.7`, or `addition` for what the contract does not have. */
  readonly source: string;
  /** Answers that are no refusal, by status: a schema, or a media type for what is no JSON. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly body?: z.ZodType | `${string}/${string}` }>>;
  /** Refusals of the route itself, with their exact texts, and what else their bodies hold; those of its auth class are added. */
  readonly refusals?: readonly (readonly [kind: RefusalKind, text: string, more?: Readonly<Record<string, unknown>>])[];
  readonly query?: z.ZodObject;
  readonly headers?: Readonly<Record<string, string>>;
  /** For bodies that no schema middleware checks: raw routes, uploads; or that it checks less closely than the route reads them. */
  readonly body?: z.ZodType | `${string}/${string}`;
}

export type DocMiddleware = MiddlewareHandler<WithContext> & { readonly routeDoc: RouteDoc };

/** Documents the route it stands in: `.get('/things', doc({ … }), auth.admin, handler)`. */
export const doc = (routeDoc: RouteDoc): DocMiddleware =>
  Object.assign(
    async function documented(_c: unknown, next: () => Promise<void>) {
      await next();
    } satisfies MiddlewareHandler<WithContext>,
    { routeDoc },
  );
