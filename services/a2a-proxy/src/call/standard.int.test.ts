/** What A2A says, between callers and agents that the proxy knows nothing of: it passes untouched. */
import { describe, expect } from 'vitest';
import { admin, it, message } from '../testing/world.ts';

const HTTP_OWN = ['connection', 'content-length', 'content-type', 'host'];
const EXTENSION = 'https://extensions.example/tracing, https://extensions.example/costs';

describe('headers of A2A', () => {
  const headers = {
    'A2A-Version': '0.3',
    'X-A2A-Extensions': EXTENSION,
    Authorization: 'Bearer secret',
    Cookie: 'session=1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    Accept: 'application/json',
    'X-Timeout': '60',
  };

  it('reach the agent, and no others do', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    expect((await world.call(proxy, id, { headers })).status).toBe(200);
    const [received] = agent.received;
    expect(Object.keys(received?.headers ?? {}).sort()).toEqual(['a2a-version', ...HTTP_OWN, 'x-a2a-extensions']);
    expect(received?.headers).toMatchObject({ 'a2a-version': '0.3', 'x-a2a-extensions': EXTENSION });
  });

  it('H1: that could not be sent are left out, and the call is made', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const odd = { 'A2A-Version': 'v\u00e9', 'A2A-Extensions': 'e'.repeat(5_000) };
    expect((await world.call(proxy, id, { headers: odd })).status).toBe(200);
    expect(Object.keys(agent.received[0]?.headers ?? {}).sort()).toEqual(HTTP_OWN);
  });

  it('H2: wait with a message, and go with it when it is sent', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    expect((await world.call(proxy, id, { headers, body: message('later', 'm-1') })).status).toBe(202);
    expect((await world.call(proxy, id, { body: message('plain', 'm-2') })).status).toBe(202);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    const [, , later, plain] = await agent.waitForMessages(4);
    expect(later?.messageId).toBe('m-1');
    expect(Object.keys(later?.headers ?? {}).sort()).toEqual(['a2a-version', ...HTTP_OWN, 'x-a2a-extensions']);
    expect(later?.headers).toMatchObject({ 'a2a-version': '0.3', 'x-a2a-extensions': EXTENSION });
    expect(Object.keys(plain?.headers ?? {}).sort()).toEqual(HTTP_OWN);
  });
});

describe('JSON-RPC', () => {
  /** An agent that answers these bytes, whatever it is asked. */
  const answering = (body: string) => ({ kind: 'status', status: 200, body }) as const;

  it.for([
    'message/send',
    'tasks/get',
    'tasks/cancel',
    'tasks/list',
    'tasks/pushNotificationConfig/set',
    'tasks/pushNotificationConfig/get',
    'tasks/pushNotificationConfig/list',
    'tasks/pushNotificationConfig/delete',
    'agent/getAuthenticatedExtendedCard',
    'SendMessage',
    'GetTask',
    'ListTasks',
    'CancelTask',
    'CreateTaskPushNotificationConfig',
    'GetTaskPushNotificationConfig',
    'ListTaskPushNotificationConfigs',
    'DeleteTaskPushNotificationConfig',
    'GetExtendedAgentCard',
    'a method/of nobody’s',
  ])('of method %s passes through, with what came of it in the activity', async (method, { world }) => {
    const proxy = await world.proxy();
    const request = `{"jsonrpc":"2.0", "id":"t-1","method":${JSON.stringify(method)},"params":{"id":"t", "later":[1.0,{"x":null}]} }`;
    const reply = '{ "jsonrpc":"2.0","id":"t-1","result":{"id":"t","later":1.0} }';
    const agent = await world.agent({ behaviour: answering(reply) });
    const id = await world.workspace(agent);
    expect(await world.call(proxy, id, { body: request })).toMatchObject({ status: 200, text: reply });
    expect(agent.received.map(({ body }) => body)).toEqual([request]);
    const [row] = await world.rows(proxy, id);
    expect(row).toMatchObject({ method, status: 'ok', request_body: JSON.parse(request), response_body: JSON.parse(reply) });
  });

  it.for([
    ['a number that no double holds', '9007199254740993'],
    ['a number below 0', '-9223372036854775809'],
    ['a fraction', '1.50'],
    ['an exponent', '1e400'],
    ['text, escaped as it is', '"\\u00e9\\/\\ud800"'],
    ['null', 'null'],
  ] as const)('ids pass as they were written: %s', async ([, written], { world }) => {
    const proxy = await world.proxy();
    const message = `{"role":"user","messageId":${written},"parts":[],"unknown":{"a":1,"a":2}}`;
    const request = `{"id":${written},"later":true,"jsonrpc":"2.0","method":"message/send","params":{"message":${message}}}`;
    const reply = `{"jsonrpc":"2.0","id":${written},"result":{"kind":"message","messageId":${written}},"later":[]}`;
    const agent = await world.agent({ behaviour: answering(reply) });
    const id = await world.workspace(agent);
    expect((await world.call(proxy, id, { body: request })).text).toBe(reply);
    expect(agent.received.map(({ body }) => body)).toEqual([request]);
    await world.rows(proxy, id);
    const { text } = await world.send(proxy, `/workspaces/${id}/activity`, 'GET', { identity: admin });
    expect(text).toContain(`"request_body":${request}`);
    expect(text).toContain(`"response_body":${reply}`);
  });

  it.for([
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found","data":{"a":9007199254740993}}}',
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse \\u0000 error"}}',
    '{"error":"text","jsonrpc":"2.0","id":1}',
  ])('errors pass as they were written: %s', async (reply, { world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: answering(reply) });
    const id = await world.workspace(agent);
    expect(await world.call(proxy, id, { body: message('hi') })).toMatchObject({ status: 200, text: reply });
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', error_detail: null }]);
  });
});
