/** Who was given access and who was refused, as the operator reads it. */
import { subjects } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

describe('GET /admin/access', () => {
  it('lists what was minted, revoked, opened and closed, newest first, without token material', async ({ registry }) => {
    const workspaceId = await registry.create();
    const minted = (await registry.call('POST', `/workspaces/${workspaceId}/tokens`)).body;
    const [{ id: tokenId, prefix }] = (await registry.call('GET', `/workspaces/${workspaceId}/tokens`)).body.tokens;
    await registry.call('DELETE', `/workspaces/${workspaceId}/tokens/${tokenId}`);
    const org = (await registry.call('POST', '/org/tokens', { body: { name: 'ci' } })).body;
    const session = (
      await registry.call('POST', '/session', { as: { kind: 'org', tokenId: org.id, prefix: org.prefix, orgId: '' } })
    ).body;
    await registry.call('DELETE', `/org/tokens/${org.id}`);

    const { body, text } = await registry.call('GET', '/admin/access');
    const entry = (type: string, workspace_id: string | null, data: object) => ({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      type,
      at: expect.stringMatching(/Z$/),
      workspace_id,
      data,
    });
    const session_id = body[0].data.session_id;
    expect(body).toEqual([
      entry('access.session-closed', null, { session_id, reason: 'token-revoked' }),
      entry('access.token-revoked', null, { token_id: org.id }),
      entry('access.session-opened', null, { session_id, by: 'org', token_id: org.id, expires_at: session.expires_at }),
      entry('access.token-issued', null, {
        token_id: org.id,
        prefix: org.prefix,
        name: 'ci',
        org_id: '',
        created_by: 'admin-token',
      }),
      entry('token.revoked', workspaceId, { token_id: tokenId, by: 'api' }),
      entry('token.issued', workspaceId, { token_id: tokenId, prefix, by: 'api' }),
    ]);
    expect(text).not.toContain(minted.auth_token);
    expect(text).not.toMatch(/[0-9a-f]{64}/);
  });

  it('shows what gateways refused, once for each report, however often it comes', async ({ registry, bus }) => {
    const report = {
      gateway: 'gateway-1',
      since: '2026-11-22T12:00:00.000Z',
      until: '2026-11-22T12:00:10.000Z',
      denials: [{ reason: 'invalid', method: 'GET', path: '/workspaces/:id', peer: '10.0.0.1', count: 3 }],
      omitted: 1,
    };
    bus.nats.publish(subjects.denials, '{"gateway":"no report"}');
    for (let n = 0; n < 3; n++) bus.nats.publish(subjects.denials, JSON.stringify(report));
    bus.nats.publish(subjects.denials, JSON.stringify({ ...report, gateway: 'gateway-2', omitted: 0 }));
    const listed = async () => (await registry.call('GET', '/admin/access')).body;
    await waitFor(async () => (await listed()).length === 2, { timeoutMs: 15_000, what: 'both reports' });
    const { gateway: _, ...told } = report;
    expect((await listed()).map(({ type, workspace_id, data }: Record<string, unknown>) => [type, workspace_id, data])).toEqual([
      ['access.denied', null, { ...told, omitted: 0 }],
      ['access.denied', null, told],
    ]);
  });

  it('holds 100 at most', async ({ registry }) => {
    const id = await registry.create();
    for (let round = 0; round < 51; round++) {
      await registry.call('POST', `/workspaces/${id}/tokens`);
      const [token] = (await registry.call('GET', `/workspaces/${id}/tokens?limit=1`)).body.tokens;
      await registry.call('DELETE', `/workspaces/${id}/tokens/${token.id}`);
    }
    const { body } = await registry.call('GET', '/admin/access');
    expect(body).toHaveLength(100);
    expect(body.map(({ type }: { type: string }) => type)).toEqual(
      Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? 'token.revoked' : 'token.issued')),
    );
  });

  it('I3: is the same when it is made anew from the log', async ({ registry }) => {
    const id = await registry.create({ external: true });
    await registry.call('POST', `/workspaces/${id}/tokens`);
    const { body } = await registry.call('POST', '/org/tokens');
    await registry.call('POST', '/session');
    await registry.call('DELETE', `/org/tokens/${body.id}`);
    const report = await registry.service.rebuild?.(true);
    const rows = (report?.projections ?? []).map(({ table, rows: n, missing, unexpected }) => [table, n, missing + unexpected]);
    expect(rows).toEqual(
      expect.arrayContaining([
        ['access_log', 5, 0],
        ['org_tokens', 1, 0],
        ['sessions', 1, 0],
        ['tokens', 2, 0],
      ]),
    );
  });
});
