/** Tokens for test scripts (spec 1 §4.4). */
import { timingSafeEqual } from 'node:crypto';
import { Refusal, WorkspaceId } from '@molecule/contracts';
import { defineAuth, json, problem, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { commandOf, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { issueToken } from './decisions.ts';

export function tokenRoutes({ store, barrier, mint, newId, settings }: Parts) {
  const { ADMIN_TOKEN: adminToken, MOLECULE_ENV: env, MOLECULE_ENABLE_TEST_TOKENS: enable } = settings;
  const enabled = enable === '1' || env !== 'production';

  const testToken = defineAuth('testToken', (_context, c) => {
    if (!enabled) return new Refusal('not-found', 'not found');
    if (adminToken === undefined) return null;
    const shown = (c.req.header('authorization') ?? '').replace(/^Bearer /, '').trim();
    return isSame(shown, adminToken) ? null : problem.adminAuthRequired();
  });

  return new Hono<WithContext>().get('/admin/workspaces/:id/test-token', testToken, async (c) => {
    const id = WorkspaceId.safeParse(c.req.param('id'));
    if (!id.success) throw problem.workspaceNotFound();
    const { plaintext, token } = mint();
    const { version } = await orFail(c, 'token issue failed', () =>
      store.change(id.data, commandOf(c, newId), issueToken(token, 'test')),
    );
    await barrier.passed(id.data, version);
    return json(c, { auth_token: plaintext, workspace_id: id.data });
  });
}

/** In constant time for texts of one length. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
