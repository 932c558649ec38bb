/** What A2A says, between callers and agents that the proxy knows nothing of: it passes untouched. */
import { describe, expect } from 'vitest';
import { it, message } from '../testing/world.ts';

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
