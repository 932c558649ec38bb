/** Tokens of the organisation (spec 1 §4.8). Each opens every door but those of the agents' own classes. */
import { Refusal } from '@molecule/contracts';
import { adminRefusal, auth, body, doc, json, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { commandOf, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { changeAccess } from './change.ts';
import { type Minter, mintOrgToken, revokeOrgToken } from './decisions.ts';
import { ListedOrgToken, listOrgTokens } from './projections/org-tokens.ts';

const MAX_NAME_BYTES = 100;
const NAME_TOO_LONG = 'name too long (max 100 chars)';

const NewOrgToken = z.object({ name: z.string().nullish() });
const MintedOrgToken = z.object({
  id: z.string(),
  prefix: z.string(),
  name: z.string().optional(),
  auth_token: z.string(),
  warning: z.string(),
});

export function orgTokenRoutes(parts: Parts) {
  const { ledger, mint, newId } = parts;

  return new Hono<WithContext>()
    .get(
      '/org/tokens',
      doc({
        summary: 'List the live tokens of the organisation',
        source: 'spec 1 §4.8',
        answers: {
          200: { description: 'Newest first, 500 at most', body: z.object({ tokens: z.array(ListedOrgToken), count: z.int() }) },
        },
        refusals: [['failed', 'failed to list tokens']],
      }),
      auth.admin,
      async (c) => {
        const tokens = await orFail(c, 'failed to list tokens', () => listOrgTokens(ledger.db));
        return json(c, { tokens, count: tokens.length });
      },
    )

    .post(
      '/org/tokens',
      doc({
        summary: 'Mint a token of the organisation',
        description: 'Its plaintext is in this answer and nowhere else. Ten an hour for each address.',
        source: 'spec 1 §4.8',
        answers: { 200: { description: 'The new token', body: MintedOrgToken } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['invalid', NAME_TOO_LONG],
          ['failed', 'failed to mint token'],
        ],
      }),
      auth.admin,
      body(NewOrgToken, () => new Refusal('invalid', 'invalid request body'), { empty: {} }),
      async (c) => {
        const name = c.req.valid('json').name ?? '';
        if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new Refusal('invalid', NAME_TOO_LONG);
        const { plaintext, token } = mint();
        await orFail(c, 'failed to mint token', () =>
          changeAccess(parts, commandOf(c, newId), mintOrgToken(token, { name, by: minterOf(c) })),
        );
        return json(c, {
          id: token.tokenId,
          prefix: token.prefix,
          ...(name !== '' && { name }),
          auth_token: plaintext,
          warning: 'copy this token now; it will not be shown again',
        });
      },
    )

    .delete(
      '/org/tokens/:id',
      doc({
        summary: 'Revoke a token of the organisation',
        description: 'No gateway lets it in once this is answered; the sessions opened with it end with it.',
        source: 'spec 1 §4.8',
        answers: { 200: { description: 'Revoked', body: z.object({ revoked: z.string() }) } },
        refusals: [
          ['not-found', 'token not found or already revoked'],
          ['failed', 'failed to revoke'],
        ],
      }),
      auth.admin,
      async (c) => {
        const id = c.req.param('id').toLowerCase();
        await orFail(c, 'failed to revoke', () => changeAccess(parts, commandOf(c, newId), revokeOrgToken(id)));
        return json(c, { revoked: id });
      },
    );
}

function minterOf(c: Context<WithContext>): Minter {
  const { principal } = c.get('context');
  const { identity, session } = principal;
  if (identity.kind === 'org') return identity;
  if (session === null && c.req.header('cookie') === undefined) return { kind: 'admin' };
  const alone = session?.kind === 'canvas' && adminRefusal({ ...principal, session: null }) !== null;
  return { kind: 'session', sessionId: alone ? session.id : null };
}
