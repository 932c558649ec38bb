/** MCP clients and GitHub at the gateway of a closed platform (spec 2 §7.11, §7.14), through every process that there is. */
import { createHmac, randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_OBJECT } from './harness/bad-input.ts';
import { Caller } from './harness/caller.ts';
import { Cluster } from './harness/cluster.ts';

const ADMIN_TOKEN = 'the operator of the tools';
const WEBHOOK_SECRET = 'canary-of-the-webhooks-at-the-gateway';

let cluster: Cluster;
let nobody: Caller;
let operator: Caller;
let atlas: string;
let borealis: string;

beforeAll(async () => {
  cluster = await Cluster.start({
    env: {
      MOLECULE_ENV: 'production',
      ADMIN_TOKEN,
      SECRETS_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      GITHUB_WEBHOOK_SECRET: WEBHOOK_SECRET,
      MOLECULE_MCP_ALLOW_SEND_MESSAGE: 'true',
    },
  });
  nobody = new Caller(cluster.url());
  operator = nobody.bearer(ADMIN_TOKEN);
  atlas = await online('atlas');
  borealis = await online('borealis');
});
afterAll(() => cluster?.stop());

/** A workspace whose agent runs. */
async function online(name: string): Promise<string> {
  const { id } = (await operator.post('/workspaces', { name, runtime: 'echo' })).body;
  const isOnline = async () => (await operator.get(`/workspaces/${id}`)).body.status === 'online';
  await waitFor(isOnline, { what: `${name} to be online`, timeoutMs: 30_000 });
  return id;
}

describe('the official MCP client', () => {
  it('uses the tools of its workspace with its token, and of no other', async () => {
    const token = (await operator.post(`/workspaces/${atlas}/tokens`)).body.auth_token;
    const at = (id: string) => new URL(`${cluster.url()}/workspaces/${id}/mcp`);
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    const client = new Client({ name: 'a client', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(at(atlas), { requestInit }) as Transport);
    const call = async (name: string, args: Record<string, unknown> = {}) => {
      const { content } = await client.callTool({ name, arguments: args });
      return (content as { text: string }[])[0]?.text ?? '';
    };
    expect((await client.listTools()).tools).toHaveLength(8);
    expect(JSON.parse(await call('list_peers'))).toMatchObject([{ id: borealis, name: 'borealis', status: 'online' }]);
    expect(await call('delegate_task', { workspace_id: borealis, task: 'say this' })).toContain('say this');
    expect(JSON.parse(await call('commit_memory', { content: 'MY_TOKEN=secret and tea' })).scope).toBe('LOCAL');
    expect(JSON.parse(await call('recall_memory', { query: 'TEA' }))).toMatchObject([{ content: '[REDACTED:TOKEN] and tea' }]);
    expect(await call('send_message_to_user', { message: 'hello' })).toBe('Message sent.');
    const { task_id } = JSON.parse(await call('delegate_task_async', { workspace_id: borealis, task: 'later' }));
    const isDone = async () => {
      const checked = JSON.parse(await call('check_task_status', { workspace_id: borealis, task_id }));
      return checked.status === 'completed' && checked;
    };
    expect(JSON.stringify(await waitFor(isDone, { what: 'the task to be done' }))).toContain('later');
    await client.close();

    const other = new Client({ name: 'a client', version: '1' });
    const elsewhere = other.connect(new StreamableHTTPClientTransport(at(borealis), { requestInit }) as Transport);
    await expect(elsewhere).rejects.toThrow('invalid workspace auth token');
  });

  it('is counted by its bearer, whatever the gateway counts beside', async () => {
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const path = `/workspaces/${atlas}/mcp`;
    expect(await nobody.post(path, ping)).toMatchObject({ status: 401, body: { error: 'missing bearer token' } });
    const answer = await operator.post(path, ping);
    expect(answer).toMatchObject({ status: 200, headers: { 'x-ratelimit-limit': '120', 'x-ratelimit-remaining': '119' } });
    const wrong = await nobody.bearer('a guess').post(path, ping);
    expect(wrong).toMatchObject({ status: 401, headers: { 'x-ratelimit-limit': '120' } });
    const leaving = new AbortController();
    const stream = await fetch(`${cluster.url()}${path}/stream`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      signal: leaving.signal,
    });
    const { value } = (await stream.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe(`event: endpoint\ndata: ${path}\n\n`);
    leaving.abort();
  });
});

describe('what is no object', () => {
  const send = async (path: string, body: string | Buffer, headers: Record<string, string>) => {
    const answer = await fetch(`${cluster.url()}${path}`, { method: 'POST', body: new Uint8Array(Buffer.from(body)), headers });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };

  it.each(Object.entries(NO_OBJECT))('%s: is refused by both doors, and nothing else happens', async (_, body) => {
    const error = { code: -32700, message: expect.stringMatching(/^parse error: /) };
    expect(await send(`/workspaces/${atlas}/mcp`, body, { authorization: `Bearer ${ADMIN_TOKEN}` })).toEqual({
      status: 400,
      body: { jsonrpc: '2.0', id: null, error },
    });
    const signature = `sha256=${createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex')}`;
    const hook = await send(`/webhooks/github/${atlas}`, body, {
      'x-github-event': 'issue_comment',
      'x-hub-signature-256': signature,
    });
    expect(hook.status).toBe(400);
    expect(['invalid issue_comment payload', 'failed to read request body']).toContain(hook.body.error);
  });
});

describe('GitHub', () => {
  const deliver = (path: string, event: string, payload: object, { delivery = randomUUID(), secret = WEBHOOK_SECRET } = {}) => {
    const signature = createHmac('sha256', secret).update(JSON.stringify(payload)).digest('hex');
    return nobody
      .with({ 'x-github-event': event, 'x-github-delivery': delivery, 'x-hub-signature-256': `sha256=${signature}` })
      .post(`/webhooks/github${path}`, payload);
  };
  const comment = { action: 'created', issue: { number: 7 }, comment: { body: 'look here' } };

  it('needs its signature and nothing else; a delivery is dispatched once, over a restart as well', async () => {
    expect(await deliver('', 'push', {}, { secret: 'a guess' })).toMatchObject({
      status: 401,
      body: { error: 'invalid webhook signature' },
    });
    const delivery = randomUUID();
    const first = await deliver(`/${borealis}`, 'issue_comment', comment, { delivery });
    expect([first.status, JSON.stringify(first.body)]).toEqual([200, expect.stringContaining('look here')]);
    const again = async () => {
      const { status, body } = await deliver(`/${borealis}`, 'issue_comment', comment, { delivery });
      return status === 200 && body;
    };
    expect(await waitFor(again)).toEqual({ recorded: true, status: 200 });
    await cluster.kill('a2a-proxy-0');
    await cluster.restart('a2a-proxy-0');
    expect(await waitFor(again)).toEqual({ recorded: true, status: 200 });
  });

  it('makes the schedules due that are there for it', async () => {
    const yearly = { name: 'Nightly pick-up-work', cron_expr: '0 0 1 1 *', prompt: 'pick up' };
    expect((await operator.post(`/workspaces/${atlas}/schedules`, yearly)).status).toBe(201);
    const delivery = randomUUID();
    for (let count = 0; count < 2; count++)
      expect((await deliver('', 'issues', { action: 'opened' }, { delivery })).body).toEqual({
        status: 'triggered',
        event: 'issues',
        action: 'opened',
        schedules_affected: 1,
      });
    const ran = async () => {
      const [schedule] = (await operator.get(`/workspaces/${atlas}/schedules`)).body;
      return schedule.run_count > 0 && schedule;
    };
    expect(await waitFor(ran, { what: 'the schedule to run', timeoutMs: 20_000 })).toMatchObject({
      run_count: 1,
      last_status: 'ok',
    });
  });

  it('I10: leaves its secret in no log', async () => {
    const logs = await Promise.all(cluster.names().map((name) => cluster.log(name)));
    expect(logs.flat().length).toBeGreaterThan(cluster.names().length);
    expect(JSON.stringify(logs)).not.toContain(WEBHOOK_SECRET);
  });
});
