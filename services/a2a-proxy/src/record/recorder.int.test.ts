/** What is written down, and what happens to it when the database is away or refuses it. */
import { waitFor, withPostgres } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, it, message, World } from '../testing/world.ts';

describe('the record of direct calls', () => {
  it('is complete after hundreds at once, each ended once', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, n) => world.call(proxy, id, { body: message(`${round}-${n}`) })),
      );
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
    expect(await world.settled(proxy, 300)).toMatchObject({ accepted: 300, completed: 300, balanced: true });
    await world.rows(proxy, id, 300, '?limit=500');
    const { rows } = await world.database.query('select count(*)::int as facts from events');
    expect(rows[0].facts).toBeLessThan(600); // most ended before they were written down
  });

  it('survives what agents and callers write', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent, { name: 'a\u0000b' });
    const deep = `${'['.repeat(50_000)}1${']'.repeat(50_000)}`;
    const bodies = [
      '{"result":{"parts":[{"kind":"text","text":"\\u0000 \\ud800"}]}}',
      '{"__proto__":{"x":1},"constructor":null,"n":1e400,"id":9007199254740993}',
      deep,
      '{"usage":{"input_tokens":1e999}}',
      '{"result":{"metadata":{"tool_trace":[{"tool":"x","n":1}]}}}',
    ];
    for (const body of bodies) {
      agent.behaveNext({ kind: 'status', status: 200, body });
      expect(await world.call(proxy, id, { body: '{"method":"a\\u0000\\ud800","params":{"x":"\\u0000"}}' })).toMatchObject({
        status: 200,
        text: body,
      });
    }
    expect(await world.settled(proxy, bodies.length)).toMatchObject({ completed: bodies.length, balanced: true });
    const rows = await world.rows(proxy, id, bodies.length);
    expect(rows[0]?.tool_trace).toEqual([{ tool: 'x', n: 1 }]);
    const text = (await world.send(proxy, `/workspaces/${id}/activity`, 'GET', { identity: admin })).text;
    expect(text).toContain('"response_body":{"__proto__":{"x":1},"constructor":null,"n":1e400,"id":9007199254740993}');
  });
});

describe('while the database is away', () => {
  it('calls go on, and what they were is written when it is back', async ({ natsUrl, bus, log, onTestFinished }) => {
    const database = await withPostgres();
    onTestFinished(() => database.dispose());
    const world = new World({ bus, log, natsUrl, databaseUrl: database.url });
    onTestFinished(() => world.close());
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    await world.call(proxy, id);
    await world.rows(proxy, id);
    await database.stop();
    for (let n = 0; n < 100; n++) expect((await world.call(proxy, id)).status).toBe(200);
    agent.behaveNext({ kind: 'reset' });
    const busy = await world.call(proxy, id);
    expect(busy).toMatchObject({
      status: 503,
      text: '{"error":"workspace agent busy — retry after a short backoff","busy":true,"retry_after":30}',
    });
    expect(busy.headers['retry-after']).toBe('30');
    expect(await world.send(proxy, `/workspaces/${id}/activity`, 'GET', { identity: admin })).toMatchObject({
      status: 503,
      json: { code: 'platform_unavailable' },
    });
    await database.start();
    await waitFor(
      async () => {
        const audit = await world.audit(proxy).catch(() => undefined);
        return audit?.accepted === 102 && audit.open === 0;
      },
      { timeoutMs: 15_000, what: 'everything to be written' },
    );
    expect(await world.audit(proxy)).toMatchObject({ balanced: true, completed: 101, failed: 1 });
    await world.rows(proxy, id, 102, '?limit=500');
    // And it works as before.
    agent.behaveNext({ kind: 'reset' });
    const queued = await waitFor(async () => {
      const answer = await world.call(proxy, id, { body: message('later', 'later') });
      return answer.status === 202 ? answer : false;
    });
    world.beat(id);
    await waitFor(async () => (await world.facts(queued.json.queue_id)).at(-1) === 'a2a.completed');
  });
});

describe('the audit', () => {
  it('finds what was planted: a second end, something after the end, a hole, and a mailbox that disagrees', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const queued = await world.call(proxy, id, { body: message('waits', 'waits') });
    agent.behave({ kind: 'echo' });
    for (let n = 0; n < 3; n++) await world.call(proxy, id);
    await world.settled(proxy, 4);
    expect(await world.audit(proxy)).toMatchObject({ balanced: true, unbalanced: [], accepted: 4 });
    const { rows: found } = await world.database.query(
      "select substr(stream, 9) as id from events where type = 'a2a.answered' and version = 1",
    );
    const rows = found.map((row) => row.id as string);
    const plant = (messageId: string | undefined, version: number, type: string) =>
      world.database.query(
        `insert into events (id, stream, version, type, schema, nth, data, meta, recorded_at)
         select gen_random_uuid(), stream, $2, $3, 1, 1, data, meta || '{"commandId":"planted"}', now() from events where stream = $1 and version = 1`,
        [`message.${messageId}`, version, type],
      );
    await plant(rows[0], 2, 'a2a.unreached');
    await plant(rows[1], 2, 'a2a.requeued');
    await plant(rows[2], 3, 'a2a.dispatched');
    await world.database.query("update mailbox set status = 'queued' where message_id = $1", [queued.json.queue_id]);
    const audit = await world.audit(proxy);
    expect(audit).toMatchObject({ balanced: false, accepted: 4, byOutcome: { unbalanced: 4 } });
    expect(audit.unbalanced.map(({ messageId }) => messageId).sort()).toEqual([...rows, queued.json.queue_id].sort());
  });
});

describe('what is old', () => {
  it('is deleted, and only that', async ({ world }) => {
    const first = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    for (let n = 0; n < 3; n++) await world.call(first, id);
    const rows = await world.rows(first, id, 3);
    await world.database.query("update activity set created_at = now() - interval '8 days' where id = $1", [rows[0]?.id]);
    await first.close();
    await world.proxy({ ACTIVITY_CLEANUP_INTERVAL_HOURS: '0.0001' });
    await waitFor(async () => (await world.database.query('select 1 from activity')).rows.length === 2);
  });

  it('counts for a message that waited from its end on: its reply can be read for as long', async ({ world }) => {
    const first = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const [old, late] = [(await world.call(first, id)).json.queue_id, (await world.call(first, id)).json.queue_id];
    expect(late).not.toBe(old);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await waitFor(async () => (await world.database.query('select 1 from messages where active')).rows.length === 0);
    await world.database.query("update messages set created_at = now() - interval '8 days'");
    await world.database.query("update mailbox set completed_at = now() - interval '8 days' where message_id = $1", [old]);
    await first.close();
    await world.proxy({ ACTIVITY_CLEANUP_INTERVAL_HOURS: '0.0001' });
    const kept = async () => (await world.database.query('select message_id from messages where reply is not null')).rows;
    await waitFor(async () => (await kept()).length < 2);
    expect(await kept()).toEqual([{ message_id: late }]);
  });
});
