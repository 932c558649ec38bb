/**
 * Tokens for test scripts (spec 1 §4.4). Whether there is an admin token, and who shows it, the gateway says; the registry's own
 * `ADMIN_TOKEN` only adds to that. Closed in every spelling of production, unless switched on.
 */
import { timingSafeEqual } from 'node:crypto';
import { Refusal } from '@molecule/contracts';
import { defineAuth, doc, json, problem, type WithContext } from '@molecule/http';
import { modeOf } from '@molecule/service';
import { Hono } from 'hono';
import { z } from 'zod';
import { commandOf, namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { issueToken } from './decisions.ts';

export function testTokenRoutes({ store, barrier, mint, newId, settings }: Parts) {
  const { ADMIN_TOKEN: adminToken, MOLECULE_ENV: env, MOLECULE_ENABLE_TEST_TOKENS: enable } = settings;
  const enabled = enable === '1' || modeOf(env) !== 'production';

  const testToken = defineAuth('testToken', ({ principal: { identity, adminTokenSet } }, c) => {
    if (!enabled) return new Refusal('not-found', 'not found');
    if (!adminTokenSet && adminToken === undefined) return null;
    if (identity.kind === 'admin') return null;
    // The form without `Bearer ` is no credential to the gateway; who compares it needs the token itself.
    const shown = (c.req.header('authorization') ?? '').replace(/^Bearer /, '').trim();
    return adminToken !== undefined && isSame(shown, adminToken) ? null : problem.adminAuthRequired();
  });

  return new Hono<WithContext>().get(
    '/admin/workspaces/:id/test-token',
    doc({
      summary: 'Mint a token of a workspace, for test scripts',
      description: 'Each call mints one more; earlier ones stay valid.',
      source: 'spec 1 §4.4',
      answers: {
        200: { description: 'The new token', body: z.object({ auth_token: z.string(), workspace_id: z.string() }) },
      },
      refusals: [
        ['not-found', 'not found'],
        ['not-found', 'workspace not found'],
        ['failed', 'token issue failed'],
      ],
    }),
    testToken,
    async (c) => {
      const id = namedWorkspace(c);
      if (id === null) throw problem.workspaceNotFound();
      const { plaintext, token } = mint();
      const { version } = await orFail(c, 'token issue failed', () =>
        store.change(id, commandOf(c, newId), issueToken(token, 'test')),
      );
      await barrier.passed(id, version);
      return json(c, { auth_token: plaintext, workspace_id: id });
    },
  );
}

/** In constant time for texts of one length. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
