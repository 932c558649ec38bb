/** MCP clients of today: the official SDK over streamable HTTP, and the rules of that transport (ADR 20). */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { describe, expect, onTestFinished } from 'vitest';
import { admin, type Call, it, type Running, type World } from '../testing/world.ts';

const BOTH = { accept: 'application/json, text/event-stream' };

/** A client that is connected, and what went wrong beside its calls. */
async function connect(world: World, proxy: Running, id: string) {
  const headers = { ...world.signed(admin), authorization: 'Bearer a-token' };
  const transport = new StreamableHTTPClientTransport(new URL(`${proxy.url}/workspaces/${id}/mcp`), { requestInit: { headers } });
  const client = new Client({ name: 'a client', version: '1' });
  const errors: Error[] = [];
  client.onerror = (error) => errors.push(error);
  await client.connect(transport as Transport);
  onTestFinished(() => client.close());
  return { client, transport, errors };
}

const post = (world: World, proxy: Running, id: string, body: string, headers: Call['headers']) =>
  world.send(proxy, `/workspaces/${id}/mcp`, 'POST', {
    identity: admin,
    body,
    headers: { authorization: 'Bearer a-token', ...headers },
  });

describe('the official client', () => {
  it('connects in its own version, pings, lists the tools and calls them', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent, { name: 'ada' });
    const { client, transport, errors } = await connect(world, proxy, id);
    expect(transport.protocolVersion).toBe('2025-11-25');
    expect(client.getServerVersion()).toEqual({ name: 'molecule-a2a', version: '1.0.0' });
    expect(await client.ping()).toEqual({});
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      ...['delegate_task', 'delegate_task_async', 'check_task_status', 'list_peers', 'get_workspace_info'],
      ...['commit_memory', 'recall_memory'],
    ]);
    const info = await client.callTool({ name: 'get_workspace_info' });
    expect(info).toEqual({ content: [{ type: 'text', text: expect.stringContaining('"name": "ada"') }] });
    agent.behaveNext({ kind: 'status', status: 200, body: '{"result":{"message":{"parts":[{"text":"hello"}]}}}' });
    const other = await world.registry.create();
    await world.known();
    const reply = await client.callTool({ name: 'delegate_task', arguments: { workspace_id: id, task: 'say hello' } });
    expect(reply).toEqual({ content: [{ type: 'text', text: 'hello' }] });
    const refused = client.callTool({ name: 'delegate_task', arguments: { workspace_id: other, task: '' } });
    await expect(refused).rejects.toMatchObject({ code: -32000, message: expect.stringContaining('task is required') });
    await expect(client.listPrompts()).rejects.toThrow();
    // It asked for the stream that is not here, and took the answer for what it is.
    expect(errors).toEqual([]);
  });
});

describe('streamable HTTP', () => {
  it.for([
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2024-11-05'],
    ['2024-11-05', '2024-11-05'],
    ['2099-01-01', '2024-11-05'],
    [7, '2024-11-05'],
    [undefined, '2024-11-05'],
  ] as const)('agrees, asked for %s, to %s', async ([protocolVersion, agreed], { world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    for (const headers of [BOTH, {}]) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion } });
      const answer = await post(world, proxy, id, body, headers);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.json.result.protocolVersion).toBe(agreed);
    }
  });

  it('answers what is no request with 202 and nothing', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const bodies = ['{"jsonrpc":"2.0","method":"notifications/initialized"}', '{"jsonrpc":"2.0","id":1,"result":{}}'];
    for (const headers of [BOTH, { 'mcp-protocol-version': '2025-06-18' }, { 'mcp-protocol-version': '2025-03-26' }])
      for (const body of [...bodies, '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}']) {
        const answer = await post(world, proxy, id, body, headers);
        expect([answer.status, answer.text, answer.headers['content-type']]).toEqual([202, '', undefined]);
        expect(answer.headers['x-ratelimit-limit']).toBe('120');
      }
    // Clients of old get a body, whatever they send.
    expect((await post(world, proxy, id, bodies[1] ?? '', {})).json.error.message).toBe('method not found: ');
  });

  it('refuses versions that nobody knows, and batches', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
    const unknown = await post(world, proxy, id, ping, { 'mcp-protocol-version': '1999-01-01' });
    expect([unknown.status, unknown.text]).toEqual([
      400,
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"unsupported protocol version: 1999-01-01"}}',
    ]);
    const batch = await post(world, proxy, id, `[${ping}]`, BOTH);
    expect([batch.status, batch.json.error.code]).toEqual([400, -32700]);
  });

  it('has no stream to listen to and no session to end', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const url = `${proxy.url}/workspaces/${id}/mcp`;
    for (const method of ['GET', 'DELETE']) {
      const answer = await fetch(url, { method, headers: { ...world.signed(admin), ...BOTH } });
      expect([answer.status, answer.headers.get('allow'), await answer.text()]).toEqual([
        405,
        'POST',
        '{"error":"method not allowed"}',
      ]);
    }
  });
});
