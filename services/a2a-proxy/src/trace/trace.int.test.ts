import { randomUUID } from 'node:crypto';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, anonymous, it, message, type Running, type World } from '../testing/world.ts';

const trace = (world: World, proxy: Running, id: string, identity = admin) =>
  world.send(proxy, `/admin/trace/${encodeURIComponent(id)}`, 'GET', { identity });

describe('GET /admin/trace/:id', () => {
  it('tells of a message that waited, by its id and by its sender’s', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const [pm, id] = [await world.registry.create({ name: 'pm' }), await world.workspace(agent, { name: 'atlas' })];
    const headers = { 'x-workspace-id': pm };
    const { queue_id: queueId } = (await world.call(proxy, id, { headers, body: message('hi', 'from-me') })).json;
    await world.rows(proxy, id);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await waitFor(async () => (await world.facts(queueId)).at(-1) === 'a2a.completed', { what: 'the delivery' });

    const told = await trace(world, proxy, queueId);
    expect(told.status).toBe(200);
    expect(told.json).toMatchObject({
      asked: [queueId],
      messages: [
        {
          id: queueId,
          source: 'workspace',
          from: { id: pm, name: 'pm' },
          to: { id, name: 'atlas' },
          method: 'message/send',
          state: 'completed',
        },
      ],
      delegations: [],
      truncated: false,
    });
    const texts = told.json.messages[0].steps.map(({ text }: { text: string }) => text);
    expect(texts).toEqual([
      'the agent was busy (connection reset): waits in the mailbox with priority 50',
      expect.stringMatching(/^taken out of the mailbox after .* attempt 1, by /),
      'delivered from the mailbox: HTTP 200',
    ]);
    expect((await trace(world, proxy, 'from-me')).json).toEqual(told.json);
    expect((await trace(world, proxy, queueId.toUpperCase())).json).toEqual(told.json);
  });

  it('tells of a direct call by the id of its row, and of a failed one why', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    await world.call(proxy, id);
    const [row] = await world.rows(proxy, id);
    const told = await waitFor(
      async () => {
        const answer = await trace(world, proxy, row?.id ?? '');
        return answer.status === 200 ? answer.json : false;
      },
      { what: 'the record of the call' },
    );
    expect(told.messages).toMatchObject([
      { id: row?.id, source: 'canvas', from: null, depth: 0, state: 'answered', waited_ms: 0 },
    ]);
  });

  it('says so when nothing is known, and only to an admin', async ({ world }) => {
    const proxy = await world.proxy();
    for (const id of [randomUUID(), "'; drop table events; --", 'x'.repeat(5_000), 'a\0b']) {
      const { status, text } = await trace(world, proxy, id);
      expect([status, text]).toEqual([404, '{"error":"nothing is known of this id"}']);
    }
    expect((await trace(world, proxy, randomUUID(), anonymous)).status).toBe(401);
  });
});
