/**
 * What nobody should send, on every route there is, over the gateway to real processes: each gets the refusal that its route
 * promises, nothing is stored, and what is good goes on meanwhile. A 5xx is only where the specification says so (spec 1 §0, spec 2 §0).
 */
import { randomUUID } from 'node:crypto';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deep, EMPTY_OBJECTS, NO_OBJECT, ODD_IDS } from './harness/bad-input.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { type Knock, knock, speak } from './harness/knock.ts';
import { countFacts } from './harness/ledger.ts';
import { type Member, Team } from './harness/team.ts';

let cluster: Cluster;
let client: Client;
let team: Team;
/** A workspace in good standing, whose token nobody here shows unless it is said. */
let victim: Member;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_IDLE_TIMEOUT_SECONDS: '20' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
  victim = await team.join('victim');
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

interface Case extends Knock {
  readonly name: string;
  readonly status: number;
  /** The text of the refusal; all else is compared as a whole body. */
  readonly error: string;
}

const refused = (name: string, call: Knock, status: number, error: string): Case => ({ name, ...call, status, error });
const json = (value: unknown): string => JSON.stringify(value);

/** Sends all of it one after the other while good messages go on; then nothing but those has been stored. */
async function expectRefusals(cases: readonly Case[]): Promise<void> {
  const before = await countFacts(cluster.postgres.url);
  const good = sendGoodMessages();
  const answers = [];
  for (const { name, method, path, body, headers } of cases) {
    const { status, text } = await knock(cluster.url(), { method, path, body, ...(headers && { headers }) });
    answers.push({ name: `${method} ${name}`, status, text });
  }
  await good.stop();
  expect(answers).toEqual(
    cases.map(({ name, method, status, error }) => ({ name: `${method} ${name}`, status, text: json({ error }) })),
  );
  const { 'a2a-proxy': _, ...after } = await countFacts(cluster.postgres.url);
  expect(before).toMatchObject(after);
  await onlyGoodMessages();
}

let everSent = 0;

/** One after the other, until they are stopped; at least one. */
function sendGoodMessages() {
  let going = true;
  const loop = (async () => {
    do {
      everSent++;
      const { status } = await client.send(victim.id, `good ${everSent}`);
      expect(status, 'a good message meanwhile').toBe(200);
    } while (going);
  })();
  return {
    stop: async () => {
      going = false;
      await loop;
    },
  };
}

/** The log of messages holds every good one and no other. It is written a moment after the answer (spec 2 §1.11). */
async function onlyGoodMessages(): Promise<void> {
  const audit = async () => (await client.get('/admin/audit')).body;
  await waitFor(async () => (await audit()).completed >= everSent, { what: 'every good message to be recorded' });
  expect(await audit()).toMatchObject({ balanced: true, accepted: everSent, completed: everSent, failed: 0, open: 0 });
}

describe('a body that is no JSON object', () => {
  it('is refused by every route that reads one', async () => {
    const routes: readonly (readonly [method: string, path: string, error: string, takesAnyObject: boolean])[] = [
      ['POST', '/workspaces', 'invalid workspace payload', false],
      ['PATCH', `/workspaces/${victim.id}`, 'invalid request body', true],
      ['POST', '/registry/register', 'invalid request body', false],
      ['POST', '/registry/heartbeat', 'invalid request body', false],
      ['POST', '/registry/update-card', 'invalid request body', false],
      ['POST', '/registry/check-access', 'invalid request body', false],
      ['POST', `/workspaces/${victim.id}/schedules`, 'cron_expr and prompt are required', false],
      ['POST', `/workspaces/${victim.id}/a2a`, 'invalid JSON', true],
    ];
    const { token } = victim.agent.link ?? {};
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    await expectRefusals(
      routes.flatMap(([method, path, error, takesAnyObject]) =>
        Object.entries({ ...NO_OBJECT, ...(takesAnyObject ? {} : EMPTY_OBJECTS) })
          // To an agent, what a text holds is the agent's business.
          .filter(([name]) => !(path.endsWith('/a2a') && /surrogate|with a NUL/.test(name)))
          .map(([name, body]) => refused(`${path} with ${name}`, { method, path, body, headers }, 400, error)),
      ),
    );
  });
});

describe('a field that is not as it should be', () => {
  const creation = (name: string, body: unknown, error: string, status = 400) =>
    refused(name, { method: 'POST', path: '/workspaces', body: typeof body === 'string' ? body : json(body) }, status, error);
  const payload = (change: object) => creation(json(change), { name: 'a', ...change }, 'invalid workspace payload');

  it('keeps a workspace from being made', async () => {
    await expectRefusals([
      ...[{ name: 5 }, { name: '' }, { name: ['a'] }, { role: 5 }, { tier: 1.5 }, { tier: '3' }, { tier: 1e18 }].map(payload),
      ...[{ external: 'true' }, { budget_limit: 0.5 }, { secrets: [] }, { secrets: { A: 1 } }, { canvas: { x: '0' } }].map(
        payload,
      ),
      ...[{ initial_memories: {} }, { parent_id: 4 }, { max_concurrent_tasks: 1e18 }, { url: 'x'.repeat(3_000) }].map(payload),
      creation('a number without end', '{"name":"a","canvas":{"x":1e400,"y":0}}', 'invalid workspace payload'),
      creation('a name on two lines', { name: 'a\nb' }, 'invalid workspace fields'),
      creation('a name of YAML', { name: '{a: [b]}' }, 'invalid workspace fields'),
      creation('256 bytes of name', { name: 'ü'.repeat(128) }, 'invalid workspace fields'),
      creation('a long role', { name: 'a', role: 'x'.repeat(1_001) }, 'invalid workspace fields'),
      creation('a template outside', { name: 'a', template: '../../etc' }, 'invalid template'),
      creation('a template outside, all given', { name: 'a', template: '/etc', runtime: 'echo', model: 'm' }, 'invalid template'),
      creation('a directory of the system', { name: 'a', workspace_dir: '/etc/ssl' }, 'invalid workspace directory'),
      creation('a directory upwards', { name: 'a', workspace_dir: '/srv/../etc' }, 'invalid workspace directory'),
      creation('no such access', { name: 'a', workspace_access: 'root' }, 'invalid workspace access'),
      creation('access to no directory', { name: 'a', workspace_access: 'read_only' }, 'invalid workspace access'),
      // The specification says 500 here (spec 1 §1.4).
      creation('an unknown parent', { name: 'a', parent_id: randomUUID() }, 'failed to create workspace', 500),
      creation('a parent that is no id', { name: 'a', parent_id: '../x' }, 'failed to create workspace', 500),
    ]);
  });

  it('keeps agents, beats, cards, questions and schedules out', async () => {
    const { id, agent } = victim;
    const headers = { authorization: `Bearer ${agent.link?.token}` };
    const post =
      (path: string, error: string, status = 400) =>
      (change: object | string) =>
        refused(
          `${path} with ${typeof change === 'string' ? change.slice(0, 80) : json(change).slice(0, 80)}`,
          { method: 'POST', path, headers, body: typeof change === 'string' ? change : json(change) },
          status,
          error,
        );
    const url = 'http://localhost:1';
    const registration = (change: object) => ({ id, url, agent_card: {}, ...change });
    const beat = (change: object) => ({ workspace_id: id, ...change });
    const cron = (change: object) => ({ cron_expr: '* * * * *', prompt: 'p', ...change });
    const schedules = `/workspaces/${id}/schedules`;
    await expectRefusals([
      // The specification says 500 here (spec 1 §0), once the URL may be registered at all.
      post('/registry/register', 'registration failed', 500)(registration({ id: 'x' })),
      ...[
        { id: 'x', url: 'http://169.254.169.254/' },
        { url: '' },
        { url: 'x' },
        { url: 'ftp://localhost' },
        { url: 'http://169.254.169.254/' },
      ]
        .map(registration)
        .map(post('/registry/register', 'invalid request body')),
      ...[{ id, url }, registration({ agent_card: 'x'.repeat(60_000) })].map(post('/registry/register', 'invalid request body')),
      ...[
        `{"id":"${id}","url":"${url}","agent_card":${deep(10_000)}}`,
        `{"id":"${id}","url":"${url}","agent_card":"\\u0000"}`,
      ].map(post('/registry/register', 'invalid request body')),
      ...[{ error_rate: '1' }, { active_tasks: 1.5 }, { active_tasks: 1e18 }, { sample_error: 5 }, { runtime_metadata: 'x' }]
        .map(beat)
        .map(post('/registry/heartbeat', 'invalid request body')),
      ...[{ runtime_metadata: { capabilities: ['session'] } }, { runtime_metadata: { idle_timeout_seconds: '2' } }]
        .map(beat)
        .map(post('/registry/heartbeat', 'invalid request body')),
      post('/registry/heartbeat', 'invalid request body')(`{"workspace_id":"${id}","error_rate":1e400}`),
      ...[{ workspace_id: 5, agent_card: {} }, { workspace_id: id }].map(post('/registry/update-card', 'invalid request body')),
      ...[{ caller_id: 1, target_id: 2 }, { caller_id: id }].map(post('/registry/check-access', 'invalid request body')),
      ...[{ cron_expr: 5 }, { prompt: '' }, { prompt: ['p'] }, { enabled: 'yes' }, { name: {} }, { timezone: 1 }]
        .map(cron)
        .map(post(schedules, 'cron_expr and prompt are required')),
      ...['x', '* * * * * *', '@hourly', '60 * * * *', '* * * * 7', '0 0 30 2 *', '0-99999999999 * * * *', '* '.repeat(50_000)]
        .map((cron_expr) => cron({ cron_expr }))
        .map(post(schedules, 'invalid request body')),
      ...['Mars/Olympus', '__proto__', '../../etc/passwd'].map((timezone) =>
        post(schedules, `invalid timezone: ${timezone}`)(cron({ timezone })),
      ),
      ...[
        'name must not contain newline characters',
        'name contains invalid characters',
        'name must be at most 255 characters',
      ].map((error, index) =>
        refused(
          error,
          {
            method: 'PATCH',
            path: `/workspaces/${id}`,
            headers,
            body: json({ name: ['a\nb', '{}', 'x'.repeat(256)][index], tier: 4 }),
          },
          400,
          error,
        ),
      ),
    ]);
    expect((await client.get(`/workspaces/${id}`)).body).toMatchObject({ name: 'victim', tier: 3, status: 'online' });
  });
});

describe('an id that is none, or of nobody', () => {
  it('is refused by every route that has one', async () => {
    const message = json({ method: 'message/send', params: {} });
    const schedule = json({ cron_expr: '* * * * *', prompt: 'p' });
    const headers = { 'x-workspace-id': victim.id, authorization: `Bearer ${victim.agent.link?.token}` };
    const open = {};
    type Route = readonly [method: string, path: string, status: number, error: string, Pick<Knock, 'body' | 'headers'>];
    const everyOdd: readonly Route[] = [
      ['GET', '/workspaces/:id', 400, 'invalid workspace ID', open],
      ['PATCH', '/workspaces/:id', 400, 'invalid workspace ID', { body: '{}' }],
      ['DELETE', '/workspaces/:id', 400, 'invalid workspace ID', open],
      ['GET', '/registry/discover/:id', 403, 'not authorized to discover this workspace', { headers }],
      ['GET', '/registry/:id/peers', 404, 'workspace not found', open],
      ['GET', '/admin/workspaces/:id/test-token', 404, 'workspace not found', open],
      ['DELETE', '/workspaces/:id/schedules/x', 404, 'schedule not found', open],
      ['DELETE', `/workspaces/${victim.id}/schedules/:id`, 404, 'schedule not found', open],
      // Where an id is looked up without a check, the specification has the route's own 500 (spec 1 §0, spec 2 §0).
      ['POST', '/workspaces/:id/a2a', 500, 'lookup failed', { body: message }],
      ['GET', '/workspaces/:id/a2a', 500, 'lookup failed', open],
      ['GET', '/workspaces/:id/activity', 500, 'query failed', open],
      ['GET', '/workspaces/:id/schedules', 500, 'failed to query schedules', open],
      ['POST', '/workspaces/:id/schedules', 500, 'failed to create schedule', { body: schedule }],
      ['GET', '/events/:id', 500, 'query failed', open],
    ];
    const unknown: readonly Route[] = [
      ['GET', '/workspaces/:id', 404, 'workspace not found', open],
      ['PATCH', '/workspaces/:id', 404, 'workspace not found', { body: '{}' }],
      ['GET', '/registry/discover/:id', 403, 'not authorized to discover this workspace', { headers }],
      ['GET', '/registry/:id/peers', 404, 'workspace not found', open],
      ['GET', '/admin/workspaces/:id/test-token', 404, 'workspace not found', open],
      ['DELETE', `/workspaces/${victim.id}/schedules/:id`, 404, 'schedule not found', open],
      ['POST', '/workspaces/:id/a2a', 404, 'workspace not found', { body: message }],
      ['GET', '/workspaces/:id/a2a', 404, 'workspace not found', open],
      ['POST', '/workspaces/:id/schedules', 500, 'failed to create schedule', { body: schedule }],
    ];
    const cases = (routes: readonly Route[], ids: readonly string[]) =>
      routes.flatMap(([method, path, status, error, more]) =>
        ids.map((id) =>
          refused(`${path} of ${id.slice(0, 40)}`, { method, path: path.replace(':id', id), ...more }, status, error),
        ),
      );
    await expectRefusals([...cases(everyOdd, ODD_IDS), ...cases(unknown, [randomUUID(), randomUUID().toUpperCase()])]);
  });
});

describe('what is no route', () => {
  const NOT_FOUND = '404 page not found';
  it('is not found, in plain text', async () => {
    const calls: readonly (readonly [method: string, path: string])[] = [
      ...(
        ['/', '/nope', '/admin', '/admin/nope', '/__proto__', '/WORKSPACES', '//workspaces', '/workspaces//', '*'] as const
      ).map((path) => ['GET', path] as const),
      ...(['/workspaces/../nope', '/%2e%2e/%2e%2e/etc/passwd', '/workspaces%2f', '/registry/register'] as const).map(
        (path) => ['GET', path] as const,
      ),
      ...(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'] as const).map((method) => [method, '/workspaces'] as const),
      ['GET', '/registry/heartbeat'],
      ['PATCH', '/registry/heartbeat'],
      ['PUT', `/workspaces/${victim.id}`],
      ['PUT', `/workspaces/${victim.id}/a2a`],
      ['PUT', `/workspaces/${victim.id}/activity`],
      ['PUT', `/workspaces/${victim.id}/schedules`],
      ['GET', '/admin/rebuild'],
      ['POST', '/events'],
      ['DELETE', '/admin/sweeps'],
    ];
    const answers = [];
    for (const [method, path] of calls) {
      const { status, type, text } = await knock(cluster.url(), { method, path });
      answers.push([method, path, status, type, text]);
    }
    expect(answers).toEqual(calls.map(([method, path]) => [method, path, 404, 'text/plain', NOT_FOUND]));
  });

  it('with a slash too many, is elsewhere', async () => {
    const calls = [
      ['GET', '/workspaces/'],
      ['GET', `/workspaces/${victim.id}/`],
      ['POST', '/registry/register/'],
    ] as const;
    const answers = [];
    for (const [method, path] of calls) answers.push((await knock(cluster.url(), { method, path })).status);
    expect(answers).toEqual([301, 301, 307]);
  });
});

describe('headers', () => {
  const answerTo = async (headers: Record<string, string>, path = '/workspaces', more: Partial<Knock> = {}) => {
    const { status, text } = await knock(cluster.url(), { method: 'GET', path, headers, ...more });
    return [status, text];
  };
  const error = (text: string) => json({ error: text });

  it('that are too many or too large are refused', async () => {
    expect(await answerTo({ 'x-large': 'a'.repeat(60_000) })).toEqual([431, '']);
    expect(await answerTo(Object.fromEntries(Array.from({ length: 1_900 }, (_, index) => [`x-${index}`, '1'])))).toEqual([
      431,
      '',
    ]);
  });

  it('that claim to be somebody are not believed', async () => {
    const schedules = `/workspaces/${victim.id}/schedules`;
    for (const authorization of ['Bearer x', `Bearer ${'a'.repeat(12_000)}`, 'Bearer \xff\xfe', "Bearer ' or 1=1 --"]) {
      expect(await answerTo({ authorization }, schedules)).toEqual([401, error('invalid workspace auth token')]);
    }
    const call = { method: 'POST', body: json({ method: 'message/send', params: {} }) };
    const asCaller = (caller: string) => answerTo({ 'x-workspace-id': caller }, `/workspaces/${victim.id}/a2a`, call);
    for (const caller of ['system:restart-context', 'webhook:github', 'channel:slack', 'test:x'])
      expect(await asCaller(caller)).toEqual([403, error('invalid caller ID')]);
    const denied = 'access denied: workspaces cannot communicate per hierarchy rules';
    for (const caller of ["' or 1=1", '__proto__', '\xff', randomUUID()])
      expect(await asCaller(caller)).toEqual([403, error(denied)]);
    // What services tell each other counts for nothing when a client says it.
    const service = { 'x-molecule-context': 'e30.AAAA', 'x-molecule-message-id': randomUUID(), authorization: 'Bearer x' };
    expect(await answerTo(service, schedules)).toEqual([401, error('invalid workspace auth token')]);
    await onlyGoodMessages();
  });

  it('and first lines that are no HTTP end the connection', async () => {
    const said = [
      'HELLO\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
      'GET /work\x01spaces HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST /workspaces HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n',
      'POST /workspaces HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ];
    for (const text of said) expect(await speak(cluster.url(), text)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  });
});
