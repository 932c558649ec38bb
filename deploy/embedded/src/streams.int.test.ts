/** Streams of events and cards through the whole of one process: nothing on the way holds back what an agent says. */
import { openStream, startStreamer, streamEvent, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { ADMIN_TOKEN, withSettings } from './testing/services.ts';

const CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'message/stream',
  params: { message: { role: 'user', messageId: 'm', parts: [] } },
};
const says = (text: string) => ({ kind: 'message', role: 'agent', messageId: 'r', parts: [{ kind: 'text', text }] });

const it = withSettings({ MOLECULE_ENV: 'development' }).extend('agent', async ({ together: { url } }, { onCleanup }) => {
  const agent = await startStreamer();
  onCleanup(() => agent.stop());
  const ask = async (method: string, path: string, body?: unknown, token = ADMIN_TOKEN) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const { id, connection } = (await ask('POST', '/workspaces', { name: 'borealis', external: true })).body;
  const at = agent.url.replace('127.0.0.1', 'localhost');
  const register = (card: object) => ask('POST', '/registry/register', { id, url: at, agent_card: card }, connection.auth_token);
  return { ...agent, id, ask, register, calls: `${url}/workspaces/${id}/a2a` };
});

describe('in one process', () => {
  it('a stream reaches its client event by event, and its reply the activity', async ({ agent }) => {
    expect((await agent.register({ name: 'borealis' })).status).toBe(200);
    const [client, streaming] = await Promise.all([openStream(agent.calls, { body: JSON.stringify(CALL) }), agent.next()]);
    expect(client.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-content-type-options': 'nosniff' });
    for (const text of ['one', 'two']) {
      await streaming.say(says(text));
      expect(await client.read()).toBe(streamEvent(says(text)));
    }
    client.leave();
    await streaming.say(says('three'));
    streaming.end();
    const row = await waitFor(async () => (await agent.ask('GET', `/workspaces/${agent.id}/activity`)).body[0], {
      what: 'a row',
    });
    expect(row).toMatchObject({ method: 'message/stream', status: 'ok', response_body: { result: says('three') } });
  });

  it('a card leads through the platform', async ({ agent }) => {
    const none = await agent.ask('GET', `/workspaces/${agent.id}/a2a`);
    expect(none).toEqual({ status: 404, body: { error: 'workspace has no agent card' } });
    const card = { name: 'borealis', url: agent.url, skills: [] };
    expect((await agent.register(card)).status).toBe(200);
    for (const path of ['', '/.well-known/agent-card.json', '/.well-known/agent.json'])
      expect(await agent.ask('GET', `/workspaces/${agent.id}/a2a${path}`)).toEqual({
        status: 200,
        body: { ...card, url: agent.calls },
      });
  });
});
