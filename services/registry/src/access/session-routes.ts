/**
 * Signing in to the canvas (design §7): a token is exchanged for a cookie that a page's scripts cannot read.
 *
 * A session is made of a credential, never of a state: a door that stands open to everybody gives nobody a key.
 */
import { platformUnavailable, Refusal, type SessionOrigin, TokenId } from '@molecule/contracts';
import { defineAuth, doc, json, problem, type WithContext } from '@molecule/http';
import { mintToken } from '@molecule/vault';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { commandOf, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { changeAccess } from './change.ts';
import { clearSession, setSession } from './cookie.ts';
import { closeSession, MAX_SESSIONS, openSession } from './decisions.ts';
import { findOpenSession } from './projections/sessions.ts';

/** What a session may be opened with: the admin token or a live org token, whatever else would let the caller in. */
const credential = defineAuth('credential', ({ principal: { identity, tokensKnown } }) => {
  if (!tokensKnown) return platformUnavailable();
  if (identity.kind === 'admin' || identity.kind === 'org') return null;
  return identity.kind === 'anonymous' ? problem.adminAuthRequired() : problem.invalidAdminToken();
});

/** Whoever shows a session that is good. */
const signedIn = defineAuth('session', ({ principal: { session, invalidSession, tokensKnown } }) => {
  if (!tokensKnown) return platformUnavailable();
  if (session !== null) return null;
  return invalidSession ? problem.invalidSession() : new Refusal('unauthenticated', 'not signed in');
});

const Opened = z.object({ status: z.literal('open'), expires_at: z.string() });
const Current = z.object({ session: z.object({ kind: z.enum(['canvas', 'control-plane']), expires_at: z.string().nullable() }) });

export function sessionRoutes(parts: Parts) {
  const { ledger, clock, newId, settings } = parts;
  const lifetimeMs = settings.SESSION_HOURS * 3_600_000;

  return new Hono<WithContext>()
    .post(
      '/session',
      doc({
        summary: 'Sign in: exchange the admin token or an org token for a session cookie',
        description:
          'The session ends when it is closed, when its time is over, and with the token it was opened with: when the org token is revoked, or the admin token replaced.',
        source: 'addition',
        answers: { 200: { description: 'The cookie is set', body: Opened } },
        refusals: [
          ['too-many', `maximum ${MAX_SESSIONS} open sessions`],
          ['failed', 'failed to open session'],
        ],
      }),
      credential,
      async (c) => {
        const { plaintext, hash } = mintToken();
        const now = clock.now();
        const expiresAt = new Date(now.getTime() + lifetimeMs).toISOString();
        const session = {
          sessionId: TokenId.parse(newId()),
          hash,
          by: originOf(c),
          openedAt: now.toISOString(),
          expiresAt,
        };
        await orFail(c, 'failed to open session', () => changeAccess(parts, commandOf(c, newId), openSession(session)));
        const maxAgeSeconds = Math.ceil(lifetimeMs / 1_000);
        c.header('set-cookie', setSession(plaintext, { maxAgeSeconds, host: c.req.header('host') }));
        return json(c, { status: 'open', expires_at: expiresAt });
      },
    )

    .get(
      '/session',
      doc({
        summary: 'Say who is signed in',
        source: 'addition',
        answers: { 200: { description: 'The session of the cookie', body: Current } },
        refusals: [['failed', 'session lookup failed']],
      }),
      signedIn,
      async (c) => {
        const { session } = c.get('context').principal;
        if (session?.kind !== 'canvas') return json(c, { session: { kind: 'control-plane', expires_at: null } });
        const row = await orFail(c, 'session lookup failed', () => findOpenSession(ledger.db, session.id));
        if (row === undefined) throw problem.invalidSession();
        return json(c, { session: { kind: 'canvas', expires_at: row.expires_at.toISOString() } });
      },
    )

    .delete(
      '/session',
      doc({
        summary: 'Sign out',
        description: 'No gateway lets the session in once this is answered, and the cookie is taken back.',
        source: 'addition',
        answers: { 200: { description: 'The session is closed', body: z.object({ status: z.literal('closed') }) } },
        refusals: [
          ['conflict', 'this session belongs to the control plane'],
          ['failed', 'failed to close session'],
        ],
      }),
      signedIn,
      async (c) => {
        const { session } = c.get('context').principal;
        if (session?.kind !== 'canvas') throw new Refusal('conflict', 'this session belongs to the control plane');
        await orFail(c, 'failed to close session', () => changeAccess(parts, commandOf(c, newId), closeSession(session.id)));
        c.header('set-cookie', clearSession(c.req.header('host')));
        return json(c, { status: 'closed' });
      },
    );
}

function originOf(c: Context<WithContext>): SessionOrigin {
  const { identity } = c.get('context').principal;
  if (identity.kind === 'org') return { kind: 'org', tokenId: TokenId.parse(identity.tokenId) };
  return { kind: 'admin', ...(identity.kind === 'admin' && identity.key !== undefined && { key: identity.key }) };
}
