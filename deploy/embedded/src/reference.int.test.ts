/** The documents of `docs/reference` say what the six services answer, no more and no less. */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownersOf } from '@molecule/gateway';
import { gapsOf } from '@molecule/reference';
import { describe, expect } from 'vitest';
import { REFERENCE_DIR, referenceFiles } from './reference.ts';
import { Checked } from './testing/checked.ts';
import { ADMIN_TOKEN, it, WEBHOOK_SECRET } from './testing/services.ts';

describe('the reference', () => {
  it('has an owner and a description for every route', ({ together: { documented } }) => {
    const routes = documented.flatMap(({ service, routes }) => routes.map(({ method, path }) => ({ service, method, path })));
    expect(routes.length).toBeGreaterThan(50);
    expect(ownersOf(routes)).toEqual([]);
    expect(gapsOf(documented)).toEqual([]);
  });

  it('is what `npm run reference` writes', ({ together: { documented } }) => {
    for (const [name, text] of Object.entries(referenceFiles(documented)))
      expect(readFileSync(join(REFERENCE_DIR, name), 'utf8') === text, `docs/reference/${name} is stale: npm run reference`).toBe(
        true,
      );
  });

  it('knows every answer that is given', async ({ together }) => {
    const checked = new Checked(together);
    const asAdmin = { as: ADMIN_TOKEN };
    const admin = (request: string, body?: unknown) => checked.ask(request, { ...asAdmin, ...(body !== undefined && { body }) });
    const create = async (more: object = {}): Promise<string> =>
      (await admin('POST /workspaces', { name: 'atlas', ...more })).body.id;
    const register = (id: string) =>
      checked.ask('POST /registry/register', { body: { id, url: 'http://localhost:8001', agent_card: { name: 'card' } } });

    const id = await create();
    const other = await create({ name: 'borealis', role: 'cook' });
    const below = await create({ name: 'below', parent_id: id });
    await create({ external: true });
    await create({ external: true, url: 'https://agent.example.com' });
    const token = (await register(id)).body.auth_token;
    const otherToken = (await register(other)).body.auth_token;
    const own = { as: token };
    const unknown = randomUUID();

    // The workspace, seen from all sides.
    for (const path of ['', '?as_of=2999-01-01T00:00:00Z', '?as_of=yesterday']) await admin(`GET /workspaces${path}`);
    for (const path of [id, unknown, 'no-id', `${id}?as_of=2020-01-01T00:00:00Z`, `${id}?as_of=x`])
      await admin(`GET /workspaces/${path}`);
    await checked.ask(`GET /workspaces/${id}`);
    await checked.ask(`GET /workspaces/${id}?as_of=2020-01-01T00:00:00Z`);
    for (const path of [`${id}/explain`, `${unknown}/explain`, `${below}/explain`]) await admin(`GET /workspaces/${path}`);
    await checked.ask(`GET /workspaces/${id}/explain`);
    await checked.ask(`GET /workspaces/${id}/explain`, { as: otherToken });
    for (const who of [own, asAdmin, {}]) await checked.ask(`GET /workspaces/${id}/state`, who);
    for (const body of [{ name: 'atlas 2', x: 1, y: 2 }, { name: 'a\nb' }, { workspace_dir: '/etc' }, [], 'no json'])
      await checked.ask(`PATCH /workspaces/${id}`, { ...own, body });
    await admin(`PATCH /workspaces/${unknown}`, {});
    for (const body of [
      {},
      { name: 'a{' },
      { name: 'a', workspace_dir: '/etc' },
      { name: 'a', parent_id: unknown },
      { name: 'a', template: '../x' },
    ])
      await admin('POST /workspaces', body);
    await checked.ask('POST /workspaces', { body: { name: 'nobody asks' } });
    await checked.ask('POST /workspaces', { as: 'nonsense', body: { name: 'nobody asks' } });

    // What agents ask.
    await checked.ask('POST /registry/heartbeat', { ...own, body: { workspace_id: id, active_tasks: 1 } });
    await checked.ask('POST /registry/heartbeat', { body: { workspace_id: id } });
    await checked.ask('POST /registry/heartbeat', { ...own, body: {} });
    await register(id);
    await checked.ask('POST /registry/register', { body: { id } });
    await checked.ask('POST /registry/update-card', { ...own, body: { workspace_id: id, agent_card: { name: 'new' } } });
    await checked.ask('POST /registry/update-card', { ...own, body: {} });
    await checked.ask('POST /registry/check-access', { body: { caller_id: id, target_id: other } });
    await checked.ask('POST /registry/check-access', { body: {} });
    await checked.ask(`GET /registry/discover/${other}`);
    for (const target of [other, below, unknown])
      await checked.ask(`GET /registry/discover/${target}`, { ...own, headers: { 'X-Workspace-ID': id } });
    for (const query of ['', '?q=cook', '?as_of=2999-01-01T00:00:00Z'])
      await checked.ask(`GET /registry/${id}/peers${query}`, own);
    await admin(`GET /registry/${id}/peers?as_of=2999-01-01T00:00:00Z`);
    await checked.ask(`GET /registry/${id}/peers`);
    await checked.ask(`GET /registry/${unknown}/peers`);

    // Its data.
    for (const path of ['config', 'budget', 'activity', 'metrics', 'schedules', 'tokens', 'console']) {
      await checked.ask(`GET /workspaces/${id}/${path}`, path === 'console' ? asAdmin : own);
      await checked.ask(`GET /workspaces/${id}/${path}`);
      await admin(`GET /workspaces/${unknown}/${path}`);
    }
    await checked.ask(`GET /workspaces/${id}/activity?source=nobody`, own);
    for (const body of [
      { activity_type: 'error' },
      {},
      { activity_type: 'x' },
      { activity_type: 'error', source_id: other },
      'no json',
    ])
      await checked.ask(`POST /workspaces/${id}/activity`, { ...own, body });
    const delegated = { target_id: other, task: 't', idempotency_key: 'k' };
    for (const body of [delegated, delegated, {}, { target_id: 'x', task: 't' }, { target_id: id, task: 't' }])
      await checked.ask(`POST /workspaces/${id}/delegate`, { ...own, body });
    for (const body of [
      { target_id: other, task: 't', delegation_id: 'd' },
      {},
      { target_id: 'x', task: 't', delegation_id: 'd' },
    ])
      await checked.ask(`POST /workspaces/${id}/delegations/record`, { ...own, body });
    for (const body of [{ status: 'completed' }, {}, { status: 'x' }])
      await checked.ask(`POST /workspaces/${id}/delegations/d/update`, { ...own, body });
    await checked.ask(`GET /workspaces/${id}/delegations`, own);
    await checked.ask(`GET /workspaces/${id}/session-search`);
    for (const query of ['', '?q=hi&limit=3']) await checked.ask(`GET /workspaces/${id}/session-search${query}`, own);
    await admin(`GET /admin/trace/${unknown}`);
    for (const body of [{ message: 'hi' }, {}, { message: 'hi', attachments: [{}] }])
      await checked.ask(`POST /workspaces/${id}/notify`, { ...own, body });
    await admin(`POST /workspaces/${unknown}/notify`, { message: 'hi' });
    for (const body of [{ a: 1 }, 'no json', `"${'x'.repeat(300_000)}"`])
      await checked.ask(`PATCH /workspaces/${id}/config`, { ...own, body });
    for (const body of [{ budget_limit: 100 }, {}, { budget_limit: -1 }, { budget_limit: 'x' }, 'no json'])
      await admin(`PATCH /workspaces/${id}/budget`, body);
    await admin(`PATCH /workspaces/${unknown}/budget`, { budget_limit: 1 });
    const { body: schedule } = await checked.ask(`POST /workspaces/${id}/schedules`, {
      ...own,
      body: { name: 'n', cron_expr: '0 0 1 1 *', prompt: 'p' },
    });
    for (const body of [{}, { cron_expr: 'x', prompt: 'p' }, { cron_expr: '* * * * *', prompt: 'p', timezone: 'Mars/Olympus' }])
      await checked.ask(`POST /workspaces/${id}/schedules`, { ...own, body });
    await checked.ask(`GET /workspaces/${id}/schedules`, own);
    await checked.ask(`DELETE /workspaces/${id}/schedules/${schedule.id}`, own);
    await checked.ask(`DELETE /workspaces/${id}/schedules/${schedule.id}`, own);
    await checked.ask(`POST /workspaces/${id}/tokens`, own);
    const { body: listed } = await checked.ask(`GET /workspaces/${id}/tokens?limit=1`, own);
    for (const tokenId of [listed.tokens[0].id, unknown]) await checked.ask(`DELETE /workspaces/${id}/tokens/${tokenId}`, own);
    await admin(`POST /workspaces/${unknown}/tokens`);
    for (const target of [id, unknown]) await admin(`GET /admin/workspaces/${target}/test-token`);
    await checked.ask(`GET /admin/workspaces/${id}/test-token`);
    for (const request of ['POST', 'POST', 'PATCH'])
      await checked.ask(`${request} /workspaces/${id}/agent`, { ...own, body: { model: 'm' } });
    await checked.ask(`POST /workspaces/${id}/agent`, { ...own, body: {} });
    for (const target of [unknown, other]) await admin(`POST /workspaces/${id}/agent/move`, { target_workspace_id: target });
    for (const target of [other, other]) await admin(`DELETE /workspaces/${target}/agent`);
    await admin(`PATCH /workspaces/${other}/agent`, { model: 'm' });

    // Calls, and the life of a workspace where nothing can be started.
    const call = { jsonrpc: '2.0', id: 1, method: 'message/send', params: { message: { role: 'user', parts: [] } } };
    await checked.ask(`POST /workspaces/${unknown}/a2a`, { body: call });
    await checked.ask(`POST /workspaces/${id}/a2a`, { body: call, headers: { 'X-Workspace-ID': other } });
    await checked.ask(`POST /workspaces/${id}/a2a`, { body: call, headers: { 'X-Workspace-ID': 'system:x' } });
    const mcp = (body: unknown, headers = {}) => checked.ask(`POST /workspaces/${id}/mcp`, { ...own, body, headers });
    for (const body of ['', { method: 'fly' }, { id: 1, method: 'tools/list' }]) await mcp(body);
    await mcp({ id: 1, method: 'tools/call', params: { name: 'get_workspace_info' } });
    await mcp({ method: 'notifications/initialized' }, { 'MCP-Protocol-Version': '2025-06-18' });
    for (const route of ['POST', 'GET', 'DELETE']) await checked.ask(`${route} /workspaces/${id}/mcp`, { as: otherToken });
    for (const route of ['GET', 'DELETE']) await checked.ask(`${route} /workspaces/${id}/mcp`, own);
    await checked.ask(`GET /workspaces/${id}/mcp/stream`);
    const hook = (path: string, event: string, payload: object, secret = WEBHOOK_SECRET) => {
      const body = JSON.stringify(payload);
      const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
      const headers = { 'X-GitHub-Event': event, 'X-Hub-Signature-256': signature };
      return checked.ask(`POST /webhooks/github${path}`, { body, headers });
    };
    await hook('', 'issues', { action: 'opened' });
    for (const path of ['', `/${id}`, `/${unknown}`]) await hook(path, 'issue_comment', { action: 'created' });
    for (const path of ['', `/${id}`]) await hook(path, 'push', {});
    await hook('', 'issues', [], 'a guess');
    await hook('', 'issues', []);
    for (const query of ['', '?state=dropped', '?state=gone']) await checked.ask(`GET /workspaces/${id}/a2a/queue${query}`, own);
    await checked.ask(`GET /workspaces/no-id/a2a/queue`, asAdmin);
    for (const request of ['GET', 'DELETE']) {
      await checked.ask(`${request} /workspaces/${id}/a2a/queue/${unknown}`, own);
      for (const caller of [other, 'system:x'])
        await checked.ask(`${request} /workspaces/${id}/a2a/queue/${unknown}`, { headers: { 'X-Workspace-ID': caller } });
    }
    await checked.ask(`GET /workspaces/${id}/a2a/queue/${unknown}?wait=soon`, own);
    await admin(`GET /admin/a2a-queue`);
    await admin(`DELETE /admin/a2a-queue/${unknown}`);
    for (const query of ['', '?max_age_minutes=1', '?max_age_minutes=0', '?workspace_id=no-id'])
      await admin(`POST /admin/a2a-queue/drop-stale${query}`);
    for (const path of ['', '/.well-known/agent-card.json', '/.well-known/agent.json'])
      for (const named of [id, unknown]) await checked.ask(`GET /workspaces/${named}/a2a${path}`);
    await checked.ask(`GET /workspaces/${id}/a2a`, { headers: { 'X-Workspace-ID': 'system:x' } });
    for (const verb of ['expand', 'collapse', 'hibernate', 'pause', 'resume', 'restart']) {
      await checked.ask(`POST /workspaces/${id}/${verb}`, own);
      await admin(`POST /workspaces/${unknown}/${verb}`);
      await checked.ask(`POST /workspaces/${id}/${verb}`);
    }
    const failing = await create();
    for (const body of [{ error: 'e', log_tail: 't' }, 'no json'])
      await admin(`POST /admin/workspaces/${failing}/bootstrap-failed`, body);

    // The operator's.
    for (const path of ['access', 'audit', 'health', 'liveness', 'parked', 'sweeps']) {
      await admin(`GET /admin/${path}`);
      await checked.ask(`GET /admin/${path}`);
    }
    for (const query of ['?check=1', '?check=1&service=scheduler', '?service=nobody']) await admin(`POST /admin/rebuild${query}`);
    for (const seq of ['1', 'x']) await admin(`POST /admin/parked/redrive?seq=${seq}`);
    for (const path of ['', `/${id}`, '/no-id']) await admin(`GET /events${path}`);
    const { body: minted } = await admin('POST /org/tokens', { name: 'ci' });
    await admin('POST /org/tokens', { name: 'x'.repeat(200) });
    await admin('GET /org/tokens');
    const session = await fetch(`${together.url}/session`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const cookie = { cookie: session.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
    await admin('POST /session');
    await checked.ask('POST /session');
    for (const request of ['GET /session', 'DELETE /session', 'GET /session']) await checked.ask(request, { headers: cookie });
    await checked.ask('GET /session');
    for (const tokenId of [minted.id, minted.id]) await admin(`DELETE /org/tokens/${tokenId}`);
    await checked.ask('GET /canvas/viewport');
    for (const body of [{ x: 1, y: 2, zoom: 3 }, 'no json']) await admin('PUT /canvas/viewport', body);
    await checked.ask('PUT /canvas/viewport', { body: { x: 1 } });
    for (const path of ['health', 'metrics', 'openapi.json', 'asyncapi.json', 'docs', 'ws']) await checked.ask(`GET /${path}`);
    await admin(`GET /workspaces/${unknown}/events/stream`);

    // And how it ends.
    await admin(`DELETE /workspaces/${id}`);
    for (const path of [`${id}?confirm=true`, `${id}?confirm=true&purge=true`, 'no-id', unknown])
      await admin(`DELETE /workspaces/${path}`);
    await checked.ask(`DELETE /workspaces/${other}`);

    const formed = '--b\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\na\r\n--b--';
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    for (const body of [formed, '--b--', 'no form'])
      await checked.ask(`POST /workspaces/${id}/chat/uploads`, { ...asAdmin, headers, body });
    for (const query of ['', '?path=a', '?path=/etc', '?path=/configs/..', '?path=/configs/config.yaml'])
      await checked.ask(`GET /workspaces/${id}/chat/download${query}`, asAdmin);

    expect(checked.undocumented).toEqual([]);
    expect(checked.unasked).toEqual([]);
  });
});
