/** GitHub's webhooks on a real listener (spec 2 §7.14). */
import { createHmac, randomUUID } from 'node:crypto';
import { type Bus, RequestServer } from '@molecule/bus';
import { ask } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { waitFor } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { anonymous, it, type Running, type World } from '../testing/world.ts';

const SECRET = 'canary-of-the-webhooks';
const SETTINGS = { GITHUB_WEBHOOK_SECRET: ` ${SECRET} ` };

const comment = (more: object = {}) => ({
  action: 'created',
  issue: { number: 7 },
  comment: { body: 'look here', html_url: 'https://github.com/c' },
  repository: { full_name: 'octo/repo' },
  sender: { login: 'alice' },
  ...more,
});

interface Delivery {
  readonly event?: string;
  readonly delivery?: string;
  readonly signature?: string;
  readonly to?: string;
}

async function deliver(world: World, proxy: Running, payload: unknown, { event, delivery, signature, to }: Delivery = {}) {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const signed = `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
  const answer = await world.send(proxy, `/webhooks/github${to === undefined ? '' : `/${to}`}`, 'POST', {
    identity: anonymous,
    body,
    headers: {
      'x-github-event': event ?? 'issue_comment',
      'x-hub-signature-256': signature ?? signed,
      ...(delivery !== undefined && { 'x-github-delivery': delivery }),
    },
  });
  return [answer.status, answer.text] as const;
}

/** A scheduler that remembers what it was asked to trigger. */
function standInScheduler(bus: Bus, log: Log, affected: () => number) {
  const asked: unknown[] = [];
  const requests = new RequestServer(bus, 'scheduler', log);
  requests.serve(ask.scheduler.trigger, (order) => {
    asked.push(order);
    return { affected: affected() };
  });
  onTestFinished(() => requests.drain());
  return asked;
}

describe('a webhook', () => {
  it('is refused in order: no secret, no body that is read, no signature', async ({ world }) => {
    const closed = await world.proxy({ GITHUB_WEBHOOK_SECRET: '  ' });
    expect(await deliver(world, closed, 'x'.repeat(2_000_000), { signature: '' })).toEqual([
      503,
      '{"error":"github webhook secret is not configured"}',
    ]);
    const proxy = await world.proxy(SETTINGS);
    expect(await deliver(world, proxy, 'x'.repeat(1024 * 1024 + 1), { signature: '' })).toEqual([
      400,
      '{"error":"failed to read request body"}',
    ]);
    const unsigned = [401, '{"error":"invalid webhook signature"}'];
    expect(await deliver(world, proxy, 'no json', { signature: '' })).toEqual(unsigned);
    expect(await deliver(world, proxy, comment(), { signature: `sha256=${'0'.repeat(64)}` })).toEqual(unsigned);
    expect(await deliver(world, proxy, '{', { event: 'issues' })).toEqual([400, '{"error":"invalid issues payload"}']);
    expect(await deliver(world, proxy, '[]', { event: 'pull_request_review' })).toEqual([
      400,
      '{"error":"invalid pull_request_review payload"}',
    ]);
    expect(await deliver(world, proxy, comment())).toEqual([400, '{"error":"missing workspace id"}']);
    expect(await deliver(world, proxy, 'x'.repeat(1024 * 1024), { event: 'push' })).toEqual([
      202,
      '{"status":"ignored","reason":"unsupported event type"}',
    ]);
  });

  it('makes schedules due, once by one delivery', async ({ world, bus, log }) => {
    const proxy = await world.proxy(SETTINGS);
    const asked = standInScheduler(bus, log, () => 2);
    expect(await deliver(world, proxy, { action: 'opened' }, { event: 'issues', delivery: 'd' })).toEqual([
      200,
      '{"status":"triggered","event":"issues","action":"opened","schedules_affected":2}',
    ]);
    expect(await deliver(world, proxy, { action: 'submitted' }, { event: 'pull_request_review', delivery: 'd' })).toEqual([
      200,
      '{"status":"triggered","event":"pull_request_review","action":"submitted","schedules_affected":2}',
    ]);
    await deliver(world, proxy, { action: 'opened' }, { event: 'issues', delivery: 'd' });
    await deliver(world, proxy, { action: 'opened' }, { event: 'issues' });
    await deliver(world, proxy, { action: 'opened' }, { event: 'issues' });
    const commands = asked.map((order) => (order as { commandId: string }).commandId);
    expect(asked.slice(0, 2)).toMatchObject([
      { nameContains: ['pick-up-work'] },
      { nameContains: ['pr review', 'security review'] },
    ]);
    expect([commands[2] === commands[0], new Set(commands).size]).toEqual([true, 4]);
    expect(await deliver(world, proxy, { action: 'closed' }, { event: 'issues' })).toEqual([
      202,
      '{"status":"ignored","reason":"only issues action=opened triggers crons"}',
    ]);
  });

  it('says when schedules cannot be made due', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    expect(await deliver(world, proxy, { action: 'opened' }, { event: 'issues' })).toEqual([
      500,
      '{"error":"failed to trigger schedules"}',
    ]);
  });

  it('becomes a message of `webhook:github`, and is answered as the call is', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    const agent = await world.agent();
    const [named, other] = [await world.workspace(agent), await world.workspace(agent)];
    agent.behave({ kind: 'status', status: 201, body: '{"result": "seen"}' });
    const payload = comment({ workspace_id: named });
    expect(await deliver(world, proxy, payload, { delivery: 'd' })).toEqual([201, '{"result": "seen"}']);
    expect(await deliver(world, proxy, payload, { to: other.toUpperCase(), delivery: 'd' })).toEqual([201, '{"result": "seen"}']);
    expect(JSON.parse(agent.received[0]?.body ?? '')).toMatchObject({
      method: 'message/send',
      params: {
        message: {
          role: 'user',
          parts: [{ text: 'GitHub issue_comment created on octo/repo#7 by alice\nlook here' }],
        },
        metadata: {
          source: 'github',
          event: 'issue_comment',
          action: 'created',
          delivery_id: 'd',
          repository: 'octo/repo',
          sender: 'alice',
          issue_number: 7,
          comment_url: 'https://github.com/c',
        },
      },
    });
    // What a system sender caused is no input of the user (§1.11).
    await world.rows(proxy, named, 1);
    expect(await world.activity(proxy, named, '?source=canvas')).toEqual([]);
    expect(world.said(named, 'A2A_RESPONSE')).toEqual([]);
  });

  it('is answered with what the proxy says of a call that cannot be, without its headers', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const busy = await world.workspace(agent);
    expect(await deliver(world, proxy, comment(), { to: randomUUID() })).toEqual([404, '{"error":"workspace not found"}']);
    expect(await deliver(world, proxy, comment(), { to: 'no-id' })).toEqual([500, '{"error":"lookup failed"}']);
    const [status, text] = await deliver(world, proxy, comment(), { to: busy });
    expect([status, JSON.parse(text)]).toMatchObject([503, { busy: true }]);
    // Nobody could tell from whom it waits (§2.2).
    expect((await world.settled(proxy, 1)).open).toBe(0);
  });

  it('that is delivered again is dispatched once, and answered with what became of it', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    const other = await world.proxy(SETTINGS);
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    const again = { to: id, delivery: randomUUID() };
    const first = deliver(world, proxy, comment(), again);
    await agent.waitForCalls(1);
    for (const at of [proxy, other]) expect(await deliver(world, at, comment(), again)).toEqual([409, '{"error":"in progress"}']);
    agent.release();
    expect((await first)[0]).toBe(200);
    const recorded = await waitFor(async () => {
      const answer = await deliver(world, other, comment(), again);
      return answer[0] === 200 && answer;
    });
    expect(recorded[1]).toBe('{"recorded":true,"status":200}');
    expect(agent.received).toHaveLength(1);
    agent.behave({ kind: 'echo' });
    expect((await deliver(world, proxy, comment(), { ...again, delivery: randomUUID() }))[0]).toBe(200);
    expect(agent.received).toHaveLength(2);
  });

  it('that reached nobody may be delivered again', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    const agent = await world.agent();
    const id = await world.workspace(agent);
    agent.behaveNext({ kind: 'reset' }, { kind: 'status', status: 500 });
    const again = { to: id, delivery: randomUUID() };
    const statuses = [];
    for (let count = 0; count < 4; count++) {
      statuses.push((await deliver(world, proxy, comment(), again))[0]);
      await world.settled(proxy, Math.min(count + 1, 3));
    }
    expect(statuses).toEqual([503, 500, 200, 200]);
    expect(agent.received).toHaveLength(3);
  });

  it('I10: leaves no trace of the secret', async ({ world }) => {
    const proxy = await world.proxy(SETTINGS);
    const id = await world.workspace(await world.agent());
    const answers = [await deliver(world, proxy, comment(), { to: id }), await deliver(world, proxy, '{', { signature: SECRET })];
    await world.rows(proxy, id, 1);
    const { rows } = await world.database.query(
      'select data::text as text from events union all select request_body::text from activity',
    );
    expect(rows.length).toBeGreaterThan(1);
    expect(JSON.stringify([answers, rows, world.live])).not.toContain(SECRET);
  });
});
