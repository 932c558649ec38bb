/** Who is asking, as the gateway found out and every route may rely on (D4). */
import { z } from 'zod';

/** What the request's own credentials amount to. `unknown-token` is a bearer that is nobody's: never the same as none. */
export const Identity = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('anonymous') }),
  z.object({ kind: z.literal('unknown-token') }),
  /** `key` tells one admin token from the next, and nothing of either: a fingerprint under the key that services share. */
  z.object({ kind: z.literal('admin'), key: z.string().optional() }),
  z.object({ kind: z.literal('org'), tokenId: z.string(), prefix: z.string(), orgId: z.string() }),
  z.object({ kind: z.literal('workspace'), workspaceId: z.string(), tokenId: z.string() }),
  /** A service of ours, asking on its own behalf; `as` is the caller name of spec 2 §1.2, e.g. `system:restart-context`, or '' for canvas-like. */
  z.object({ kind: z.literal('service'), service: z.string(), as: z.string() }),
]);
export type Identity = z.infer<typeof Identity>;

/** The cookie of our own sign-in: its value is a token like any other. */
export const SESSION_COOKIE = 'molecule_session';

/** A cookie that is good: of our own sign-in, or of a control plane that vouches for it (spec 1 §4.10). */
export const Session = z.object({ kind: z.enum(['canvas', 'control-plane']), id: z.string() });
export type Session = z.infer<typeof Session>;

export const Principal = z.object({
  /** By the bearer alone. */
  identity: Identity,
  /** `null`: no cookie, or none that is good. */
  session: Session.nullable(),
  /** A session's cookie was shown, and is not good. */
  invalidSession: z.boolean(),
  /** A page of ours asks (spec 1 §4.6); only where a canvas is proxied. Never in production: anybody can write a header. */
  sameOrigin: z.boolean(),
  /** `Origin` is one of those that CORS allows. Never in production, for the same reason. */
  allowedOrigin: z.boolean(),
  /** `MOLECULE_ENV` is development and no `ADMIN_TOKEN` is set (spec 1 §4.5). */
  devOpen: z.boolean(),
  /** `ADMIN_TOKEN` is set. */
  adminTokenSet: z.boolean(),
  /** No workspace token is live anywhere (spec 1 §4.2 step 2). Never in production: a new installation is closed (README, choice 12). */
  noLiveToken: z.boolean(),
  /** `false` while tokens cannot be looked up: protected routes answer 503, none opens (I9). */
  tokensKnown: z.boolean(),
});
export type Principal = z.infer<typeof Principal>;

/** Somebody who showed this and nothing else, in a platform that is closed and knows its tokens, unless `more` says otherwise. */
export const principalOf = (identity: Identity, more: Partial<Principal> = {}): Principal => ({
  identity,
  session: null,
  invalidSession: false,
  sameOrigin: false,
  allowedOrigin: false,
  devOpen: false,
  adminTokenSet: true,
  noLiveToken: false,
  tokensKnown: true,
  ...more,
});

/** What travels with a request from the gateway to the owner of its route. */
export const RequestContext = z.object({
  principal: Principal,
  /** The address at the other end of the gateway's connection; `''` for a service of ours. */
  peer: z.string(),
  requestId: z.string(),
  /** How far the gateway's beats had got; see `BeatMark`. */
  beats: z.object({ gateway: z.string(), seq: z.number().int() }).nullable(),
});
export type RequestContext = z.infer<typeof RequestContext>;
