/** What the registry's routes share: auth classes that look something up, ids, and failures with a text of their own. */
import { type Principal, platformUnavailable, Refusal, Timestamp, WorkspaceId } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { type AuthMiddleware, auth, defineAuth, problem, type WithContext, workspaceRefusal } from '@molecule/http';
import type { Context, MiddlewareHandler } from 'hono';
import { z } from 'zod';
import type { Parts } from './parts.ts';
import { countLiveTokens } from './workspace/queries.ts';
import type { Presented } from './workspace/tokens.ts';

/** RegistryToken (§3.1) is judged by the decision itself, on the state it decides on: a token minted meanwhile counts. */
export const registryToken = defineAuth('registryToken', () => null);

/** What a caller shows as the workspace `id`. */
export function presentedAs({ identity, tokensKnown }: Principal, id: string): Presented {
  if (!tokensKnown) return { kind: 'unknowable' };
  if (identity.kind === 'anonymous') return { kind: 'none' };
  return identity.kind === 'workspace' && identity.workspaceId === id
    ? { kind: 'token', tokenId: identity.tokenId }
    : { kind: 'other' };
}

/** Discovery (§4.4), bound to the workspace that `boundTo` finds in the request. */
export const discovery = (
  { ledger, mode }: Pick<Parts, 'ledger' | 'mode'>,
  boundTo: (c: Context<WithContext>) => string | Refusal,
) =>
  defineAuth('discovery', async ({ principal }, c) => {
    const id = boundTo(c);
    if (id instanceof Refusal) return id;
    const openByState = mode !== 'production' && principal.tokensKnown && (await countLiveTokens(ledger.db, id)) === 0;
    return discoveryRefusal(principal, { id, openByState });
  });

/**
 * §4.4 in its order, for the workspace `id`; `openByState`: it has no live token, and that opens it. Where the spec lets a failed
 * look-up pass, we do not (README choice 11).
 */
export function discoveryRefusal(
  { identity, session, invalidSession, devOpen, tokensKnown }: Principal,
  { id, openByState }: { readonly id: string; readonly openByState: boolean },
): Refusal | null {
  if (identity.kind === 'service') return null;
  if (!tokensKnown) return platformUnavailable();
  if (openByState || devOpen || session !== null) return null;
  if (invalidSession) return problem.invalidSession();
  if (identity.kind === 'anonymous') return problem.missingWorkspaceToken();
  return identity.kind === 'workspace' && identity.workspaceId === id.toLowerCase() ? null : problem.invalidWorkspaceToken();
}

/** `GET /workspaces/:id` is open to anybody, but in production to nobody without a credential for it (design §7). */
export const publicUnlessProduction = (mode: Parts['mode']) =>
  mode === 'production'
    ? defineAuth('none', ({ principal }, c) => workspaceRefusal(principal, c.req.param('id') ?? ''))
    : auth.none;

/** `POST /registry/check-access` and `GET /canvas/viewport` are open to anybody, but in production to nobody without a credential of the platform's. */
export const knownInProduction = (mode: Parts['mode']) =>
  mode === 'production' ? defineAuth('none', ({ principal }) => strangerRefusal(principal)) : auth.none;

export function strangerRefusal({ identity, session, invalidSession, tokensKnown }: Principal): Refusal | null {
  if (identity.kind === 'service' || identity.kind === 'admin') return null;
  const shown = identity.kind !== 'anonymous' || session !== null || invalidSession;
  if (shown && !tokensKnown) return platformUnavailable();
  return identity.kind === 'workspace' || identity.kind === 'org' || session !== null ? null : problem.missingWorkspaceToken();
}

/** The `:id` of the routes that do not check it (§0): what is no id names nothing, which each of them says in its own words. */
export const namedWorkspace = (c: Context<WithContext>): WorkspaceId | null =>
  WorkspaceId.safeParse(c.req.param('id')).data ?? null;

/** The `:id` of the routes that check it (§0). Throws their 400. */
export function workspaceIdOf(c: Context<WithContext>): WorkspaceId {
  const id = namedWorkspace(c);
  if (id === null) throw problem.invalidWorkspaceId();
  return id;
}

/** Does `work`; what goes wrong in it, but a refusal or a store that is away, is logged and answered with the route's own 500 text. */
export async function orFail<Result>(c: Context<WithContext>, text: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (isUnavailable(error)) throw platformUnavailable(error);
    c.get('log').error({ err: error, answer: text }, 'a request failed');
    throw new Refusal('failed', text, { cause: error });
  }
}

/** A command id of its own for each request, and the request's id to follow it by. A client's header must never swallow a command. */
export const commandOf = (c: Context<WithContext>, newId: () => string) => ({
  commandId: `http.${newId()}`,
  correlationId: c.get('requestId'),
});

/** The past is the operator's: with `as_of` a route needs Admin, whatever it needs without. */
export const adminForThePast = (usual: AuthMiddleware): AuthMiddleware =>
  Object.assign(
    ((c, next) => (c.req.query('as_of') === undefined ? usual : auth.admin)(c, next)) satisfies MiddlewareHandler<WithContext>,
    { authClass: usual.authClass },
  );

/** The time that is asked about; `null`: now. Throws the 400 of our addition. */
export function asOfOf(c: Context<WithContext>): Date | null {
  const text = c.req.query('as_of');
  if (text === undefined) return null;
  if (!Timestamp.safeParse(text).success) throw new Refusal('invalid', INVALID_AS_OF);
  return new Date(text);
}

export const INVALID_AS_OF = 'as_of must be a time of RFC 3339, such as 2026-01-31T08:00:00Z';

/** Whom routes turn away that need Admin only when they look back. */
export const notForThePast = [
  ['unauthenticated', 'admin auth required'],
  ['unauthenticated', 'invalid admin auth token'],
] as const;

/** What routes that look back say of it in the reference. */
export const asOfQuery = z.object({
  as_of: Timestamp.optional().describe(
    'Answers as it would have been answered then (RFC 3339; a time to come means now). Needs Admin. Told from the log: of beats nothing is known, so tasks, error rates, spend and uptime are 0; what was purged since is not shown.',
  ),
});
