/**
 * Auth classes: who may (D4). A route names one; the gateway has found out who is asking.
 *
 * Those here need nothing but the principal. A class that looks something up is made with `defineAuth` in the service that
 * owns the look-up.
 */
import { type Principal, platformUnavailable, type Refusal, type RequestContext } from '@molecule/contracts';
import type { Context, MiddlewareHandler } from 'hono';
import type { WithContext } from './context.ts';
import { problem } from './problems.ts';

export type AuthMiddleware = MiddlewareHandler<WithContext> & { readonly authClass: string };

/** `null` lets the request pass. */
export type AuthDecision = (context: RequestContext, c: Context<WithContext>) => Refusal | null | Promise<Refusal | null>;

/** A middleware that declares and enforces an auth class. */
export function defineAuth(authClass: string, decide: AuthDecision): AuthMiddleware {
  const auth: MiddlewareHandler<WithContext> = async (c, next) => {
    const decision = decide(c.get('context'), c);
    const refusal = decision instanceof Promise ? await decision : decision;
    if (refusal) throw refusal;
    await next();
  };
  return Object.assign(auth, { authClass });
}

/** Spec 1 §4.2, in its order. A service of ours passes. */
export function adminRefusal({ identity, session, devOpen, adminTokenSet, noLiveToken, tokensKnown }: Principal): Refusal | null {
  if (identity.kind === 'service') return null;
  if (!tokensKnown) return platformUnavailable();
  if (noLiveToken && !adminTokenSet) return null;
  if (devOpen || session !== null) return null;
  switch (identity.kind) {
    case 'anonymous':
      return problem.adminAuthRequired();
    case 'org':
      return null;
    case 'admin':
      return adminTokenSet ? null : problem.invalidAdminToken();
    case 'workspace':
      return adminTokenSet ? problem.invalidAdminToken() : null;
    case 'unknown-token':
      return problem.invalidAdminToken();
  }
}

/**
 * Spec 1 §4.3 for the workspace `id` of the path. A presented bearer decides alone, also in development mode; the admin
 * token and development mode need no look-up, so they decide while tokens are unknown, too.
 */
export function workspaceRefusal({ identity, session, sameOrigin, devOpen, tokensKnown }: Principal, id: string): Refusal | null {
  switch (identity.kind) {
    case 'service':
    case 'admin':
      return null;
    case 'anonymous':
      if (sameOrigin || devOpen || (session !== null && tokensKnown)) return null;
      return tokensKnown ? problem.missingWorkspaceToken() : platformUnavailable();
    case 'org':
      return tokensKnown ? null : platformUnavailable();
    case 'workspace':
      if (!tokensKnown) return platformUnavailable();
      return identity.workspaceId === id.toLowerCase() ? null : problem.invalidWorkspaceToken();
    case 'unknown-token':
      return tokensKnown ? problem.invalidWorkspaceToken() : platformUnavailable();
  }
}

/**
 * CanvasOrBearer (spec 1 §4.4): for what is cosmetic. A bearer decides alone; without one a page that we trust is enough, and
 * development (§9 #23). What cannot be looked up opens no door (README choice 11).
 */
export function canvasRefusal(principal: Principal): Refusal | null {
  const { identity, session, sameOrigin, allowedOrigin, devOpen, noLiveToken, tokensKnown } = principal;
  if (identity.kind === 'service') return null;
  if (!tokensKnown) return platformUnavailable();
  if (noLiveToken || devOpen) return null;
  switch (identity.kind) {
    case 'admin':
    case 'workspace':
      return null;
    case 'org':
    case 'unknown-token':
      return problem.invalidAdminToken();
    case 'anonymous':
      return session !== null || allowedOrigin || sameOrigin ? null : problem.adminAuthRequired();
  }
}

export const auth = {
  /** Anyone (spec 2: OPEN). */
  none: defineAuth('none', () => null),
  admin: defineAuth('admin', ({ principal }) => adminRefusal(principal)),
  canvasOrBearer: defineAuth('canvasOrBearer', ({ principal }) => canvasRefusal(principal)),
  /** The workspace is the path's `:id`. */
  workspace: defineAuth('workspace', ({ principal }, c) => workspaceRefusal(principal, c.req.param('id') ?? '')),
} as const;
