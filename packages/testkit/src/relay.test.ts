/** The relay passes on what comes before its cut, and nothing after it. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAgent } from './agent/agent.ts';
import { type Cut, startRelay } from './relay.ts';
import { waitFor } from './wait-for.ts';

const POST = { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"message/send"}', headers: { connection: 'close' } };

async function linked(cut: Cut | null) {
  const agent = await startAgent({ behaviour: { kind: 'status', status: 200, body: 'x'.repeat(10_000) } });
  onTestFinished(() => agent.stop());
  const relay = await startRelay(agent.url, () => cut);
  onTestFinished(() => relay.close());
  return { agent, relay };
}

describe('a relay', () => {
  it('passes on what it is not told to cut', async () => {
    const { relay } = await linked(null);
    expect(await (await fetch(relay.url, POST)).text()).toBe('x'.repeat(10_000));
    await waitFor(() => relay.open === 0, { what: 'the connection to be over' });
    expect(relay.cuts).toBe(0);
  });

  it.each(['end', 'reset'] as const)('cuts an answer by %s', async (how) => {
    const { agent, relay } = await linked({ after: 'answer', bytes: 5_000, how });
    const response = await fetch(relay.url, POST);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect(agent.received).toHaveLength(1);
    expect(relay.cuts).toBe(1);
    await waitFor(() => relay.open === 0 && agent.sockets === 0, { what: 'the connection to be over on both sides' });
  });

  it.each(['end', 'reset'] as const)('cuts a request by %s', async (how) => {
    const { agent, relay } = await linked({ after: 'request', bytes: 20, how });
    await expect(fetch(relay.url, POST)).rejects.toThrow();
    expect(relay.cuts).toBe(1);
    await waitFor(() => relay.open === 0 && agent.sockets === 0, { what: 'the connection to be over on both sides' });
    expect(agent.received).toHaveLength(0);
  });
});
