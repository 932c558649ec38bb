/**
 * The catalogue of agents that go wrong, and what becomes of a call to each (spec 2 §1.7–1.10): what the caller is told, what the
 * activity shows, how the message ends in the log, and that the next call to the same agent gets its own answer.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Behaviour, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, scheduler, type World } from '../testing/world.ts';

const IDLE = 'no activity of the workspace within the idle window';
const MIB = 1024 * 1024;
const EVIL = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n"evil"';

const raw = (bytes: string | Buffer, after: 'keep' | 'end' | 'reset' = 'end'): Behaviour => ({ kind: 'raw', bytes, after });
const says = (status: number, body: string, headers: Record<string, string> = {}): Behaviour => ({
  kind: 'status',
  status,
  body,
  headers,
});
const answer = (headers: string, body: string, status = '200 OK') => `HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`;
const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;

/** What a call ends in; `exactly` is the whole body the caller gets. */
type Outcome =
  /** The agent's word, as it is: status and body; `json`: what the activity shows of it. */
  | { readonly is: 'passed'; readonly status: number; readonly exactly: string; readonly json: unknown }
  /** The status of the agent, and one sentence. */
  | { readonly is: 'error'; readonly status: number; readonly error: string; readonly json: unknown }
  | { readonly is: 'unread'; readonly confirmed: boolean }
  | { readonly is: 'queued'; readonly why: string }
  | { readonly is: 'unreachable'; readonly why: string };

const passed = (exactly: string, json: unknown = null, status = 200): Outcome => ({ is: 'passed', status, exactly, json });
const error = (status: number, text: string, json: unknown = null): Outcome => ({ is: 'error', status, error: text, json });
const queued = (why: string): Outcome => ({ is: 'queued', why });
const unreachable = (why: string): Outcome => ({ is: 'unreachable', why });
const unread = (confirmed = true): Outcome => ({ is: 'unread', confirmed });
const own = (body: string): readonly [Behaviour, Outcome] => [says(200, body), passed(body, JSON.parse(body))];

const CATALOGUE: readonly (readonly [what: string, Behaviour, Outcome])[] = [
  // No headers: it is busy, or nobody is there (§1.9).
  ['never answers', { kind: 'hang' }, queued(IDLE)],
  ['takes the message and resets the connection', { kind: 'reset' }, queued('connection reset')],
  ['hangs up before the headers', raw(''), queued('unexpected end of stream')],
  ['hangs up within the headers', raw('HTTP/1.1 200 OK\r\ncontent-'), queued('unexpected end of stream')],
  ['resets within the headers', raw('HTTP/1.1 200 OK\r\ncontent-', 'reset'), queued('connection reset')],
  ['says that it will answer, and hangs up', raw('HTTP/1.1 100 Continue\r\n\r\n'), unreachable('malformed response')],
  ['speaks TLS', raw(Buffer.from('16030100020100', 'hex')), unreachable('malformed response')],
  ['speaks something else', raw('SSH-2.0-OpenSSH\r\n'), unreachable('malformed response')],
  [
    'switches protocols',
    raw(answer('upgrade: x\r\nconnection: upgrade', '', '101 X'), 'keep'),
    unreachable('malformed response'),
  ],
  ['has a status that is none', raw(answer('content-length: 2', '{}', '099 X'), 'keep'), unreachable('malformed response')],
  ['has 10,000 header lines', raw(answer('x: y\r\n'.repeat(10_000), ''), 'keep'), unreachable('response headers too large')],
  ['has two lengths', raw(answer('content-length: 2\r\ncontent-length: 3', '{}'), 'keep'), unreachable('malformed response')],
  [
    'has two framings',
    raw(answer('content-length: 2\r\ntransfer-encoding: chunked', '0\r\n\r\n'), 'keep'),
    unreachable('malformed response'),
  ],

  // Headers and no whole body: delivered or not, as they said (§1.10).
  ['says its headers only', { kind: 'headers-only' }, unread()],
  ['trickles', { kind: 'trickle', everyMs: 25 }, unread()],
  ['hangs up within the body', { kind: 'cut', bytes: 5 }, unread()],
  ['resets within the body', raw(answer('content-length: 9', '{"a"'), 'reset'), unread()],
  ['resets within a body that has no length', raw(answer('connection: close', '{"a"'), 'reset'), unread()],
  ['breaks off between two chunks', raw(answer('transfer-encoding: chunked', '3\r\n{"a\r\n')), unread()],
  ['breaks off within a chunk', raw(answer('transfer-encoding: chunked', '9\r\n{"a')), unread()],
  ['has chunks that are none', raw(answer('transfer-encoding: chunked', 'xyz\r\n{}\r\n'), 'keep'), unread()],
  ['breaks off a redirect', raw(answer('content-length: 9', '{"a"', '302 Found')), unread()],
  ['breaks off an error', raw(answer('content-length: 9', '{"a"', '500 X')), unread(false)],

  // A word of its own: as it is (§1.10).
  ['says 202 itself', { kind: 'accepted' }, passed('', null, 202)],
  ['says 204', says(204, ''), passed('', null, 204)],
  ['says 200 and nothing', says(200, ''), passed('')],
  ['says what is no JSON', says(200, '{"a":'), passed('{"a":')],
  ['says what is no text', { kind: 'garbage' }, passed(Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]).toString())],
  ['says a page', { kind: 'not-json' }, passed('<html><body>It works!</body></html>')],
  ['says JSON-RPC with the wrong id', ...own('{"jsonrpc":"2.0","id":"somebody else\'s","result":{}}')],
  ['says JSON-RPC that it failed', ...own('{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}')],
  [
    'says numbers, escapes and spaces of its own',
    says(200, ' {"n":1.0e2, "\\u0061":9007199254740993}'),
    passed(' {"n":1.0e2, "\\u0061":9007199254740993}', { n: 100, a: 9007199254740992 }),
  ],
  ['counts tokens without end', ...own('{"result":{"usage":{"input_tokens":1e300,"output_tokens":-1}}}')],
  ['counts tokens in words', ...own('{"result":{"usage":{"input_tokens":"many","output_tokens":[]}},"usage":7}')],
  ['has a trace that is no list', ...own('{"result":{"metadata":{"tool_trace":"none"}}}')],
  ['nests deeper than the database holds', says(200, deep), passed(deep)],
  ['says 50 MiB', { kind: 'pour', bytes: 50 * MIB }, passed(' '.repeat(10 * MIB))],
  ['pours without end', { kind: 'pour', bytes: Number.POSITIVE_INFINITY }, passed(' '.repeat(10 * MIB))],
  ['says its length too short', raw(answer('content-length: 2', '{}, and more'), 'keep'), passed('{}', {})],
  ['has no length, and ends with the connection', raw(answer('connection: close', '{"a":1}')), passed('{"a":1}', { a: 1 })],
  [
    'hints first',
    raw(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${answer('content-length: 2', '{}')}`, 'end'),
    passed('{}', {}),
  ],
  ['answers twice at once', raw(`${answer('content-length: 2', '{}')}${EVIL}`, 'keep'), passed('{}', {})],

  // Failures of its own, and redirects (§1.10).
  ['fails with a sentence', says(500, '{"error":"out of tokens"}'), error(500, 'out of tokens', { error: 'out of tokens' })],
  ['fails with an empty sentence', says(500, '{"error":""}'), error(500, '', { error: '' })],
  ['fails with an object', says(502, '{"error":{"code":1}}'), error(502, 'Bad Gateway', { error: { code: 1 } })],
  ['fails with a number', says(503, '{"error":7}'), error(503, 'Service Unavailable', { error: 7 })],
  ['fails with null', says(500, '{"error":null}'), error(500, 'Internal Server Error', { error: null })],
  ['fails without an error', says(429, '{"detail":"later"}'), error(429, 'Too Many Requests', { detail: 'later' })],
  ['fails with a page', says(404, '<html>'), error(404, 'Not Found')],
  ['fails with nothing', says(504, ''), error(504, 'Gateway Timeout')],
  ['fails in a way nobody has named', says(599, ''), error(599, 'HTTP 599')],
  [
    'redirects to a metadata service',
    says(302, '', { location: 'http://169.254.169.254/latest/meta-data' }),
    error(302, 'Found'),
  ],
  ['redirects for good, to itself', says(308, '', { location: '/again' }), error(308, 'Permanent Redirect')],
  [
    'redirects with a sentence',
    says(307, '{"error":"over there"}', { location: 'http://127.0.0.1:1/' }),
    error(307, 'over there', { error: 'over there' }),
  ],
];

const UNREACHABLE = '{"error":"failed to reach workspace agent"}';

function told(outcome: Outcome): { status: number; text: unknown } {
  switch (outcome.is) {
    case 'passed':
      return { status: outcome.status, text: outcome.exactly };
    case 'error':
      return { status: outcome.status, text: JSON.stringify({ error: outcome.error }) };
    case 'unread':
      return { status: 502, text: `{"error":"failed to read agent response","delivery_confirmed":${outcome.confirmed}}` };
    case 'unreachable':
      return { status: 502, text: UNREACHABLE };
    case 'queued':
      return {
        status: 202,
        text: expect.stringMatching(
          /^\{"queued":true,"queue_id":"[0-9a-f-]{36}","queue_depth":1,"message":"workspace agent busy — request queued, will dispatch when capacity available"\}$/,
        ),
      };
  }
}

/** The row of the activity, if there is one: of a delivery its reply, of a failure its reason. */
function shown(outcome: Outcome) {
  const failure = (why: string) => ({ status: 'error', error_detail: why, summary: `A2A request to borealis failed: ${why}` });
  const success = (status: 'ok' | 'error', json: unknown) => ({
    status,
    error_detail: null,
    summary: 'message/send → borealis',
    response_body: json,
  });
  switch (outcome.is) {
    case 'passed':
      return success('ok', outcome.json);
    case 'error':
      return success(outcome.status >= 400 ? 'error' : 'ok', outcome.json);
    case 'unread':
      return outcome.confirmed ? success('ok', null) : null;
    case 'unreachable':
    case 'queued':
      return failure(outcome.why);
  }
}

const isDelivered = (outcome: Outcome) =>
  outcome.is === 'passed' || outcome.is === 'error' || (outcome.is === 'unread' && outcome.confirmed);

describe('a call to an agent that', () => {
  it.for(CATALOGUE)('%s ends as specified, and the next one is answered', async ([, behaviour, outcome], { world }) => {
    const { proxy, agent, id } = await oneAgent(world, behaviour);
    agent.behaveNext(behaviour);
    const { status, text } = await world.call(proxy, id, { body: message('first', 'm-1') });
    expect({ status, text }).toEqual(told(outcome));
    expect(agent.messageIds).toEqual(['m-1']); // no redirect was followed, nothing was sent again

    const next = await world.call(proxy, id, { body: message('second', 'm-2') });
    expect([next.status, next.json.result.parts[0].text]).toEqual([200, 'second']);

    const isQueued = outcome.is === 'queued';
    const delivered = isDelivered(outcome) || isQueued;
    const audit = await world.settled(proxy, 2);
    expect(audit).toMatchObject({ accepted: 2, completed: delivered ? 2 : 1, failed: delivered ? 0 : 1, balanced: true });
    // What was queued comes again, once, under the same id.
    expect(agent.messageIds).toEqual(isQueued ? ['m-1', 'm-2', 'm-1'] : ['m-1', 'm-2']);

    const row = shown(outcome);
    const count = 1 + (row ? 1 : 0) + (isQueued ? 1 : 0);
    const rows = await world.rows(proxy, id, count);
    expect(rows).toHaveLength(count);
    if (row) {
      const first = rows.at(-1);
      expect(first).toMatchObject({ ...row, source_id: null, target_id: id, method: 'message/send' });
      if (!isDelivered(outcome)) expect(first).not.toHaveProperty('response_body');
    }
    await waitFor(() => agent.atOnce === 0 && agent.sockets <= 2, { what: 'the connections that went wrong to be gone' });
  });
});

describe('a client that asks for a stream', () => {
  const noStream = CATALOGUE.filter(([what]) =>
    ['resets the connection', 'within the body', 'with an object', '202 itself', 'no text', 'twice at once', 'metadata'].some(
      (part) => what.includes(part),
    ),
  );
  it.for(noStream)('and calls an agent that %s is told the same', async ([, behaviour, outcome], { world }) => {
    const { proxy, agent, id } = await oneAgent(world, behaviour);
    agent.behaveNext(behaviour);
    const headers = { accept: 'text/event-stream' };
    const { status, text, headers: got } = await world.call(proxy, id, { headers });
    expect({ status, text }).toEqual(told(outcome));
    expect(got['content-type']).toMatch(/^application\/json/);
    expect((await world.call(proxy, id, { headers, body: message('second') })).json.result.parts[0].text).toBe('second');
    expect(await world.settled(proxy, 2)).toMatchObject({ accepted: 2, balanced: true });
  });
});

/** Somebody who is no agent at all. */
async function nobody(world: World, serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await world.onClose(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

describe('a call to somebody who', () => {
  it.for([
    ['takes the connection and never reads', 'http', () => undefined, queued(IDLE)],
    ['resets before anything was said', 'http', (socket: Socket) => socket.resetAndDestroy(), queued('connection reset')],
    ['hangs up where TLS should begin', 'https', (socket: Socket) => socket.destroy(), unreachable('TLS handshake failed')],
    [
      'says something else where TLS should begin',
      'https',
      (socket: Socket) => socket.end('hello'),
      unreachable('connection failed'),
    ],
  ] as const)('%s ends as specified', async ([, scheme, serve, outcome], { world }) => {
    const proxy = await world.proxy({ A2A_IDLE_TIMEOUT_SECONDS: '1' });
    const { host, sockets } = await nobody(world, serve);
    const id = await world.workspace({ url: `${scheme}://${host}` }, { name: 'borealis' });
    const { status, text } = await world.call(proxy, id, { body: message('x'.repeat(MIB - 1_000)) });
    expect({ status, text }).toEqual(told(outcome));
    expect(await world.rows(proxy, id)).toMatchObject([shown(outcome)]);
    expect(await world.audit(proxy)).toMatchObject({ accepted: 1, balanced: true });
    for (const socket of sockets) socket.resume(); // who never reads does not hear of the end either
    await waitFor(() => sockets.size === 0, { what: 'the connection to be gone' });
  });
});

/** Who calls, and how the four ways to go wrong end for them. */
const WRONG: readonly Behaviour[] = [
  { kind: 'accepted' },
  says(500, '{"error":"no"}'),
  { kind: 'cut', bytes: 5 },
  { kind: 'reset' },
];
const BUSY = { status: 503, text: '{"error":"workspace agent busy — retry after a short backoff","busy":true,"retry_after":30}' };

describe('the same agent, called by', () => {
  it.for([
    ['another workspace', 'peer', { queues: true, rows: 'peer', canvas: 0 }],
    ['itself', 'self', { queues: true, rows: 'self', canvas: 0 }],
    ['a schedule', 'schedule', { queues: true, rows: null, canvas: 5 }],
    ['a webhook', 'webhook:github', { queues: false, rows: null, canvas: 0 }],
    ['the restart of its own workspace', 'system:restart-context', { queues: false, rows: 'none', canvas: 0 }],
  ] as const)('%s, tells them the same, and shows it where it belongs', async ([, who, expected], { world }) => {
    const { proxy, agent, id } = await oneAgent(world);
    const peer = await world.workspace(await world.agent());
    const ids = { peer, self: id };
    const from = (() => {
      switch (who) {
        case 'peer':
        case 'self':
          return { headers: { 'x-workspace-id': ids[who] } };
        case 'schedule':
          return { identity: scheduler };
        default:
          return { identity: { kind: 'service', service: 'registry', as: who } } as const;
      }
    })();
    const answers: { status: number; text: string }[] = [];
    for (const behaviour of WRONG) {
      agent.behaveNext(behaviour);
      const { status, text } = await world.call(proxy, id, from);
      answers.push({ status, text });
    }
    const busy = answers.at(-1);
    expect(busy).toEqual(expected.queues ? { status: 202, text: expect.stringContaining('"queued":true') } : BUSY);
    expect(answers.slice(0, 3)).toEqual([
      { status: 202, text: '' },
      { status: 500, text: '{"error":"no"}' },
      { status: 502, text: '{"error":"failed to read agent response","delivery_confirmed":true}' },
    ]);

    world.beat(id); // there is room: what was queued comes again
    expect(await world.settled(proxy, 4)).toMatchObject({ accepted: 4, open: 0, balanced: true });
    const drained = expected.queues && expected.rows === null ? 1 : 0; // of what the canvas sent, the late reply is shown too
    const rows = await world.rows(proxy, id, expected.rows === 'none' ? 0 : 4 + drained);
    if (expected.rows === 'none') expect(rows).toEqual([]);
    else {
      const source = expected.rows === null ? null : ids[expected.rows];
      expect(rows.map((row) => row.source_id)).toEqual(Array(4 + drained).fill(source));
    }
    expect(await world.activity(proxy, id, '?source=canvas')).toHaveLength(expected.canvas);
    // The canvas is told of what went well: the agent's own 202, and what came late.
    await waitFor(() => world.said(id, 'ACTIVITY_LOGGED').length >= rows.length);
    expect(world.said(id, 'A2A_RESPONSE')).toHaveLength(expected.canvas > 0 ? 2 : 0);
  });
});

/** What the log says of a message from the mailbox after one attempt, and what the mailbox remembers of it. */
const ATTEMPTS: readonly (readonly [what: string, Behaviour, end: string, lastError: string | null])[] = [
  ['answers', { kind: 'echo' }, 'a2a.completed', null],
  ['says 202 itself', { kind: 'accepted' }, 'a2a.completed', null],
  ['says what is no text', { kind: 'garbage' }, 'a2a.completed', null],
  ['hangs up within the body: it was delivered', { kind: 'cut', bytes: 5 }, 'a2a.completed', null],
  ['says its headers only: it was delivered', { kind: 'headers-only' }, 'a2a.completed', null],
  ['pours without end', { kind: 'pour', bytes: Number.POSITIVE_INFINITY }, 'a2a.completed', null],
  ['answers twice at once', raw(`${answer('content-length: 2', '{}')}${EVIL}`, 'keep'), 'a2a.completed', null],
  ['is busy again', { kind: 'reset' }, 'a2a.requeued busy', null],
  ['never answers', { kind: 'hang' }, 'a2a.requeued busy', null],
  ['fails with a sentence', says(500, '{"error":"no"}'), 'a2a.requeued error', 'no'],
  ['fails with an object', says(502, '{"error":{}}'), 'a2a.requeued error', 'Bad Gateway'],
  ['fails with an empty sentence', says(500, '{"error":""}'), 'a2a.requeued error', 'unknown drain dispatch error'],
  [
    'breaks off an error',
    raw(answer('content-length: 9', '{"a"', '500 X')),
    'a2a.requeued error',
    'failed to read agent response',
  ],
  ['redirects', says(302, '', { location: 'http://169.254.169.254/' }), 'a2a.requeued error', 'Found'],
  ['speaks something else', raw('SSH-2.0-OpenSSH\r\n'), 'a2a.requeued error', 'failed to reach workspace agent'],
];

describe('a message from the mailbox, to an agent that', () => {
  it.for(ATTEMPTS)('%s', async ([, behaviour, end, lastError], { world }) => {
    const { proxy, agent, id } = await oneAgent(world, behaviour);
    agent.behave({ kind: 'reset' });
    const first = (await world.call(proxy, id, { body: message('first', 'm-1') })).json.queue_id;
    await world.call(proxy, id, { body: message('second', 'm-2') });
    agent.behaveNext(behaviour);
    world.beat(id);
    const facts = () =>
      world.database
        .query<{ fact: string }>(
          `select type || coalesce(' ' || (data ->> 'reason'), '') as fact from events where stream = $1 order by version`,
          [`message.${first}`],
        )
        .then(({ rows }) => rows.map(({ fact }) => fact));
    const told = await waitFor(async () => {
      const said = await facts();
      return said.lastIndexOf('a2a.dispatched') > said.indexOf('a2a.queued') && said.at(-1) !== 'a2a.dispatched' && said;
    });
    expect(told.slice(-3)).toEqual(['a2a.queued', 'a2a.dispatched', end]);
    const { rows } = await world.database.query('select last_error from mailbox where message_id = $1', [first]);
    expect(rows).toEqual([{ last_error: lastError }]);

    // Whatever it was, the agent comes to its senses, and both are delivered, in their order, neither of them twice.
    agent.behave({ kind: 'echo' });
    world.beat(id);
    expect(await world.settled(proxy, 2)).toMatchObject({ accepted: 2, completed: 2, balanced: true });
    const again = end === 'a2a.completed' ? [] : ['m-1'];
    const arrived = agent.received.filter(({ outcome }) => outcome === 'answered').map(({ messageId }) => messageId);
    expect(arrived.slice(arrived.length - again.length - 1)).toEqual([...again, 'm-2']);
    expect(agent.messageIds.slice(0, 3)).toEqual(['m-1', 'm-2', 'm-1']);
    if (end === 'a2a.completed') expect(agent.messageIds.slice(3).includes('m-1')).toBe(false);
  });
});

/** With these a call ends by the idle clock. */
const IDLING: ReadonlySet<Behaviour['kind']> = new Set(['hang', 'headers-only', 'trickle']);

const oneAgent = async (world: World, behaviour?: Behaviour) => {
  const proxy = await world.proxy(behaviour && IDLING.has(behaviour.kind) ? { A2A_IDLE_TIMEOUT_SECONDS: '1' } : {});
  const agent = await world.agent();
  return { proxy, agent, id: await world.workspace(agent, { name: 'borealis' }) };
};
