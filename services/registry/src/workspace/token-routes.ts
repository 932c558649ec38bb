/** A workspace's own tokens (spec 1 §4.7): whoever may act as it lists them, adds to them and takes them back. */
import { Refusal } from '@molecule/contracts';
import { auth, doc, json, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { commandOf, namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { issueTokenWithinLimit, MAX_LIVE_TOKENS, revokeToken } from './decisions.ts';
import { ListedToken, listTokens } from './projections/tokens.ts';

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;
const NOT_FOUND = 'token not found or already revoked';

export function tokenRoutes({ ledger, store, barrier, mint, newId }: Parts) {
  return new Hono<WithContext>()
    .get(
      '/workspaces/:id/tokens',
      doc({
        summary: 'List the live tokens of a workspace',
        source: 'spec 1 §4.7',
        query: z.object({
          limit: z.string().optional().describe('1 to 200; 50 when absent or out of range'),
          offset: z.string().optional().describe('0 or more'),
        }),
        answers: {
          200: { description: 'One page, newest first', body: z.object({ tokens: z.array(ListedToken), count: z.int() }) },
        },
        refusals: [['failed', 'failed to list tokens']],
      }),
      auth.workspace,
      async (c) => {
        const id = namedWorkspace(c);
        if (id === null) throw new Refusal('failed', 'failed to list tokens');
        const tokens = await orFail(c, 'failed to list tokens', () => listTokens(ledger.db, id, pageOf(c)));
        return json(c, { tokens, count: tokens.length });
      },
    )

    .post(
      '/workspaces/:id/tokens',
      doc({
        summary: 'Mint a token of a workspace',
        description: 'Its plaintext is in this answer and nowhere else.',
        source: 'spec 1 §4.7',
        answers: {
          201: {
            description: 'The new token',
            body: z.object({ auth_token: z.string(), workspace_id: z.string(), message: z.string() }),
          },
        },
        refusals: [
          ['too-many', `maximum ${MAX_LIVE_TOKENS} active tokens per workspace`],
          ['failed', 'failed to create token'],
        ],
      }),
      auth.workspace,
      async (c) => {
        const id = namedWorkspace(c);
        if (id === null) throw new Refusal('failed', 'failed to create token');
        const { plaintext, token } = mint();
        const { version } = await orFail(c, 'failed to create token', () =>
          store.change(id, commandOf(c, newId), issueTokenWithinLimit(token, ownTokenOf(c))),
        );
        await barrier.passed(id, version);
        const message = 'Save this token now — it cannot be retrieved again.';
        return json(c, { auth_token: plaintext, workspace_id: id, message }, 201);
      },
    )

    .delete(
      '/workspaces/:id/tokens/:tokenId',
      doc({
        summary: 'Revoke a token of a workspace',
        description: 'No gateway lets it in once this is answered, and what it had opened is closed.',
        source: 'spec 1 §4.7',
        answers: { 200: { description: 'Revoked', body: z.object({ status: z.literal('revoked') }) } },
        refusals: [
          ['not-found', NOT_FOUND],
          ['failed', 'failed to revoke token'],
        ],
      }),
      auth.workspace,
      async (c) => {
        const id = namedWorkspace(c);
        if (id === null) throw new Refusal('not-found', NOT_FOUND);
        const tokenId = c.req.param('tokenId').toLowerCase();
        const { version } = await orFail(c, 'failed to revoke token', () =>
          store.change(id, commandOf(c, newId), revokeToken(tokenId)),
        );
        await barrier.passed(id, version);
        return json(c, { status: 'revoked' });
      },
    );
}

const ownTokenOf = (c: Context<WithContext>): string | null => {
  const { identity } = c.get('context').principal;
  return identity.kind === 'workspace' ? identity.tokenId : null;
};

function pageOf(c: Context<WithContext>): { limit: number; offset: number } {
  const limit = wholeNumber(c.req.query('limit'));
  const offset = wholeNumber(c.req.query('offset'));
  return { limit: limit === null || limit < 1 || limit > MAX_LIMIT ? DEFAULT_LIMIT : limit, offset: offset ?? 0 };
}

/** A count as a query may hold one; what is none, or none that a database takes, is `null`. */
const wholeNumber = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
