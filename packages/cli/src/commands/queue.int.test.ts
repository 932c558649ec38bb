/** `molecule send` and `molecule queue` against a server that answers as the gateway does, over real HTTP. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { it as base } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { main } from '../cli.ts';
import { recorded } from '../testing/terminal.ts';

interface Asked {
  readonly line: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}
type Answer = readonly [status: number, body: unknown, headers?: Record<string, string>];

/** Answers each `METHOD path` with what was laid down for it, one after the other; the last one again and again. */
class Gateway {
  readonly asked: Asked[] = [];
  readonly #answers = new Map<string, Answer[]>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const line = `${request.method} ${request.url}`;
      this.asked.push({ line, headers: request.headers, body: await text(request) });
      const answers = this.#answers.get(line) ?? [[404, '404 page not found'] as const];
      const [status, body, headers = {}] = (answers.length > 1 ? answers.shift() : answers[0]) as Answer;
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  }

  answer(line: string, ...answers: Answer[]): void {
    this.#answers.set(line, answers);
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What a command says here, with its exit code. */
  async molecule(args: readonly string[], env: Record<string, string> = {}) {
    const { port } = this.#server.address() as AddressInfo;
    const terminal = recorded({ MOLECULE_URL: `http://127.0.0.1:${port}`, ADMIN_TOKEN: 'root', ...env });
    const code = await main(args, terminal);
    return { code, out: terminal.lines, notes: terminal.notes };
  }
}

const it = base.extend('gateway', async ({ task: _ }, { onCleanup }) => {
  const gateway = new Gateway();
  await gateway.start();
  onCleanup(() => gateway.stop());
  return gateway;
});

const atlas = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
const borealis = '1b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
const queueId = '2b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
const at = `/workspaces/${atlas}/a2a/queue/${queueId}`;
const queued: Answer = [202, { queued: true, queue_id: queueId, queue_depth: 3, message: 'busy' }, { location: at }];
const item = {
  queue_id: queueId,
  workspace_id: atlas,
  caller_id: null,
  source: 'canvas',
  state: 'queued',
  position: 3,
  priority: 50,
  method: 'message/send',
  attempts: 0,
  enqueued_at: new Date(Date.now() - 180_000).toISOString(),
  dispatched_at: null,
  completed_at: null,
  expires_at: null,
  last_error: null,
};
const followed = { ...item, result: null, result_bytes: null };
const reply = { jsonrpc: '2.0', id: 1, result: { kind: 'message', parts: [{ kind: 'text', text: 'hello back' }] } };
const workspaces = [
  { id: atlas, name: 'atlas' },
  { id: borealis, name: 'borealis' },
];

describe('molecule send', () => {
  it('says it to the agent, by the name of its workspace, and shows what it answers', async ({ gateway }) => {
    gateway.answer('GET /workspaces', [200, workspaces]);
    gateway.answer(`POST /workspaces/${atlas}/a2a`, [200, reply]);
    expect(await gateway.molecule(['send', 'atlas', 'hello\nyou'])).toEqual({ code: 0, out: ['hello back'], notes: [] });
    const { headers = {}, body = '{}' } = gateway.asked[1] ?? {};
    expect(headers).toMatchObject({ authorization: 'Bearer root', 'content-type': 'application/json' });
    expect(headers['x-workspace-id']).toBeUndefined();
    expect(JSON.parse(body)).toMatchObject({
      jsonrpc: '2.0',
      method: 'message/send',
      params: { message: { role: 'user', messageId: expect.any(String), parts: [{ kind: 'text', text: 'hello\nyou' }] } },
    });
    expect((await gateway.molecule(['send', atlas, 'x', '--json'])).out).toEqual([JSON.stringify(reply)]);
    expect((await gateway.molecule(['send', 'nobody', 'x'])).notes[0]).toContain('no workspace with the id or the name "nobody"');
    gateway.answer('GET /workspaces', [200, [...workspaces, { id: borealis, name: 'atlas' }]]);
    expect((await gateway.molecule(['send', 'atlas', 'x'])).notes[0]).toContain(`2 workspaces are called "atlas": ${atlas}`);
  });

  it('speaks in the name of a workspace, with its token', async ({ gateway }) => {
    gateway.answer(`POST /workspaces/${atlas}/a2a`, [200, reply]);
    const args = ['send', atlas, 'x', '--as', borealis];
    expect((await gateway.molecule(args, { MOLECULE_WORKSPACE_TOKEN: 'secret' })).code).toBe(0);
    expect((await gateway.molecule(args)).code).toBe(0);
    expect(gateway.asked.map(({ headers }) => [headers['x-workspace-id'], headers['authorization']])).toEqual([
      [borealis, 'Bearer secret'],
      [borealis, 'Bearer root'],
    ]);
    gateway.answer(`POST /workspaces/${atlas}/a2a`, [401, { error: 'invalid caller auth token' }]);
    expect(await gateway.molecule(args)).toEqual({
      code: 1,
      out: [],
      notes: ['invalid caller auth token (MOLECULE_WORKSPACE_TOKEN is to be a token of the sender)'],
    });
  });

  it.for([
    [
      [200, { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'no such\u0007 method' } }],
      'The agent answered with an error: no such\\u0007 method',
    ],
    [[502, { error: 'failed to reach workspace agent' }], 'failed to reach workspace agent'],
    [
      [429, { error: 'workspace mailbox is full — retry after a short backoff', queue_depth: 1000 }],
      'workspace mailbox is full — retry after a short backoff (1000 requests wait)',
    ],
    [[500, 'oops'], 'status 500'],
  ] satisfies [Answer, string][])('says what went wrong: %j', async ([answer, said], { gateway }) => {
    gateway.answer(`POST /workspaces/${atlas}/a2a`, answer);
    expect(await gateway.molecule(['send', atlas, 'x'])).toEqual({ code: 1, out: [], notes: [said] });
  });

  it('says where a message waits; with --wait follows it to its answer, and asks for it without haste', async ({ gateway }) => {
    gateway.answer(`POST /workspaces/${atlas}/a2a`, queued);
    gateway.answer(`GET ${at}?wait=0`, [200, followed]);
    const waits = `The agent is busy: the message waits as ${queueId}, third in the mailbox.`;
    const told = await gateway.molecule(['send', atlas, 'x']);
    expect(told).toEqual({ code: 0, out: [waits, '`molecule queue` shows what waits; --wait waits for the answer.'], notes: [] });

    const done = { ...followed, state: 'completed', position: null, result: reply };
    const waiting: Answer[] = [
      [200, followed],
      [200, { ...followed, state: 'dispatched', position: null }],
      [200, done],
    ];
    gateway.answer(`GET ${at}?wait=30`, ...waiting);
    expect(await gateway.molecule(['send', atlas, 'x', '--wait'])).toEqual({ code: 0, out: ['hello back'], notes: [waits] });
    expect(gateway.asked.filter(({ line }) => line === `GET ${at}?wait=30`)).toHaveLength(3);
    expect((await gateway.molecule(['send', atlas, 'x', '--wait', '--json'])).out.map((line) => JSON.parse(line))).toEqual([
      done,
    ]);
  });

  it('shows what an agent writes, and does not obey it', async ({ gateway }) => {
    const evil = 'first\n\u001b[2Jsecond';
    const shown = ['first\n\\u001b[2Jsecond'];
    const said = { result: { parts: [{ kind: 'text', text: evil }] } };
    gateway.answer(`POST /workspaces/${atlas}/a2a`, [200, said]);
    expect((await gateway.molecule(['send', atlas, 'x'])).out).toEqual(shown);
    gateway.answer(`POST /workspaces/${atlas}/a2a`, queued);
    for (const result of [said, evil]) {
      gateway.answer(`GET ${at}?wait=0`, [200, { ...followed, state: 'completed', position: null, result }]);
      expect((await gateway.molecule(['send', atlas, 'x', '--wait'])).out).toEqual(shown);
    }
  });

  it.for([
    [{ state: 'failed', last_error: 'out of tokens' }, 'The message failed: out of tokens'],
    [{ state: 'dropped', last_error: 'cancelled' }, 'The message was dropped: cancelled'],
    [{ state: 'completed', result: { error: { message: 'no' } } }, 'The agent answered with an error: no'],
  ] as const)('says how it ended otherwise: %j', async ([end, said], { gateway }) => {
    gateway.answer(`POST /workspaces/${atlas}/a2a`, queued);
    gateway.answer(`GET ${at}?wait=0`, [200, { ...followed, ...end, position: null }]);
    const { code, notes } = await gateway.molecule(['send', atlas, 'x', '--wait']);
    expect([code, notes.at(-1)]).toEqual([1, said]);
  });

  it('wants a workspace and a text', async ({ gateway }) => {
    for (const args of [['send'], ['send', atlas], ['send', atlas, 'a', 'b']]) {
      const { code, notes } = await gateway.molecule(args);
      expect([code, notes[0]]).toEqual([2, 'molecule send takes <workspace> <text>\n']);
      expect(notes[1]).toBe('molecule send <workspace> <text> [options]');
    }
  });
});

describe('molecule queue', () => {
  it('shows what waits in a mailbox', async ({ gateway }) => {
    const sent = { ...item, queue_id: borealis, caller_id: borealis, source: 'workspace', state: 'dispatched', position: null };
    gateway.answer(`GET /workspaces/${atlas}/a2a/queue`, [200, [{ ...sent, attempts: 2, last_error: 'out of\ntokens' }, item]]);
    const { code, out } = await gateway.molecule(['queue', atlas]);
    expect(code).toBe(0);
    expect(out).toEqual([
      '  ID                                    STATE       POSITION  AGE    ATTEMPTS  FROM                                  LAST ERROR',
      `  ${borealis}  dispatched  -         3 min  2         ${borealis}  out of\\ntokens`,
      `  ${queueId}  queued      3         3 min  0         canvas`,
      '',
      '2 requests.',
    ]);
    gateway.answer(`GET /workspaces/${atlas}/a2a/queue?state=dropped&limit=5`, [200, []]);
    expect((await gateway.molecule(['queue', atlas, '--state', 'dropped', '--limit', '5'])).out).toEqual(['Nothing is there.']);
    gateway.answer(`GET /workspaces/${atlas}/a2a/queue`, [200, [item]]);
    expect(JSON.parse((await gateway.molecule(['queue', atlas, '--json'])).out.join(''))).toEqual([item]);
  });

  it('shows which mailboxes hold something', async ({ gateway }) => {
    const box = { workspace_id: atlas, name: 'atlas', queued: 2, dispatched: 1, oldest_enqueued_at: item.enqueued_at };
    gateway.answer('GET /admin/a2a-queue', [200, [box, { ...box, workspace_id: borealis, name: null }]]);
    expect((await gateway.molecule(['queue'])).out).toEqual([
      '  WORKSPACE                             NAME   QUEUED  DISPATCHED  OLDEST',
      `  ${atlas}  atlas  2       1           3 min`,
      `  ${borealis}  -      2       1           3 min`,
    ]);
    gateway.answer('GET /admin/a2a-queue', [200, []]);
    expect((await gateway.molecule(['queue'])).out).toEqual(['Nothing waits.']);
  });

  it('cancels what waits', async ({ gateway }) => {
    const path = `DELETE /admin/a2a-queue/${queueId}`;
    gateway.answer(path, [200, { status: 'cancelled', queue_id: queueId, workspace_id: atlas }]);
    expect(await gateway.molecule(['queue', 'cancel', queueId.toUpperCase()])).toEqual({
      code: 0,
      out: [`Cancelled: ${queueId}.`],
      notes: [],
    });
    gateway.answer(path, [409, { error: 'queued request is being dispatched', state: 'dispatched' }]);
    const { code, notes } = await gateway.molecule(['queue', 'cancel', queueId]);
    expect(code).toBe(1);
    expect(notes[0]).toContain('queued request is being dispatched');
    for (const args of [['cancel'], ['cancel', 'x'], [atlas, queueId]])
      expect((await gateway.molecule(['queue', ...args])).code).toBe(2);
  });
});
