/** The commands against a server that answers as the gateway does, over real HTTP and a real socket. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SERVICES } from '@molecule/contracts';
import { it as base, freePort, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { main } from './cli.ts';
import { recorded } from './testing/terminal.ts';

const TOKEN = 'root';

/** Answers by path; only to who brings the token. */
class Platform {
  readonly answers = new Map<string, unknown>();
  /** What it says of a path that it does not know. */
  nothing = '404 page not found';
  readonly asked: string[] = [];
  readonly sockets = new Set<WebSocket>();
  port = 0;
  #server: Server | undefined;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(port = 0): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    const upgrades = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      this.asked.push(`${request.method} ${request.url}`);
      if (!this.#knows(request)) return void socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
      upgrades.handleUpgrade(request, socket, head, (websocket) => {
        this.sockets.add(websocket);
        websocket.once('close', () => this.sockets.delete(websocket));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of this.sockets) socket.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  say(frame: unknown): void {
    for (const socket of this.sockets) socket.send(JSON.stringify(frame));
  }

  #knows({ headers }: IncomingMessage): boolean {
    return headers.authorization === `Bearer ${TOKEN}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.asked.push(`${request.method} ${path}`);
    const answer = this.answers.get(path);
    if (!this.#knows(request)) response.writeHead(401).end('{"error":"admin auth required"}');
    else if (answer === undefined) response.writeHead(404).end(this.nothing);
    else if (typeof answer === 'string') response.writeHead(503).end(answer);
    else response.end(JSON.stringify(answer));
  }
}

const it = base.extend('platform', async ({ task: _ }, { onCleanup }) => {
  const platform = new Platform();
  await platform.start();
  onCleanup(() => platform.stop());
  return platform;
});

/** Runs a command as somebody who knows the token. */
async function molecule(platform: Platform, ...args: string[]) {
  const terminal = recorded({ MOLECULE_URL: platform.url, ADMIN_TOKEN: TOKEN });
  return { code: await main(args, terminal), out: terminal.lines, notes: terminal.notes };
}

const services = (broken?: string) =>
  SERVICES.map((service) => ({
    service,
    instance: `${service}-1`,
    ready: service !== broken,
    checks: { bus: { ok: service !== broken, detail: service === broken ? 'gone' : 'NATS 2.9.10' } },
    loops: {},
  }));

describe('molecule status', () => {
  it('is content when all six are ready', async ({ platform }) => {
    platform.answers.set('/admin/health', services());
    const { code, out } = await molecule(platform, 'status');
    expect(code).toBe(0);
    expect(out.join('\n')).toContain('Everything is ready.');
  });

  it('is not when one is missing or in trouble, also for programs', async ({ platform }) => {
    platform.answers.set('/admin/health', services('sweeper'));
    expect((await molecule(platform, 'status')).code).toBe(1);
    const { code, out } = await molecule(platform, 'status', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(out.join(''))).toMatchObject({ url: platform.url, ready: false, services: { length: 6 } });
    platform.answers.set('/admin/health', services().slice(0, 5));
    expect((await molecule(platform, 'status')).code).toBe(1);
  });

  it('says what keeps it from knowing', async ({ platform }) => {
    const said = async (env: Record<string, string>, ...args: string[]) => {
      const terminal = recorded(env);
      expect(await main(['status', ...args], terminal)).toBeGreaterThan(0);
      expect(terminal.lines).toEqual([]);
      return terminal.notes.join('\n');
    };
    expect(await said({}, '--url', platform.url)).toContain('Set ADMIN_TOKEN');
    expect(await said({ ADMIN_TOKEN: 'wrong' }, '--url', platform.url)).toContain('does not accept this ADMIN_TOKEN');
    expect(await said({ MOLECULE_URL: `http://127.0.0.1:${await freePort()}` })).toMatch(/Nothing listens at .*npm start/);
    expect(await said({ MOLECULE_URL: 'molecule' })).toContain('not an http address');
    expect(await said({ ADMIN_TOKEN: TOKEN }, '--url', platform.url)).toContain('is it Molecule');
    platform.answers.set('/admin/health', { not: 'a list' });
    expect(await said({ ADMIN_TOKEN: TOKEN }, '--url', platform.url)).toContain('something else than expected');
    platform.answers.set('/admin/health', '{"error":"platform datastore unavailable"}');
    expect(await said({ ADMIN_TOKEN: TOKEN }, '--url', platform.url)).toContain(
      'cannot answer now: platform datastore unavailable',
    );
  });
});

describe('molecule parked', () => {
  it('shows what was set aside, and gives one again', async ({ platform }) => {
    const origin = { stream: 'FACTS', sequence: 7, subject: 'container.exited.w' };
    const one = {
      seq: 3,
      consumer: 'registry',
      type: 'container.exited',
      error: 'TypeError: no',
      origin,
      at: '2026-11-22T12:00:00Z',
    };
    platform.answers.set('/admin/parked', { parked: [one] });
    const shown = await molecule(platform, 'parked');
    expect(shown.code).toBe(1);
    platform.answers.set('/admin/parked', { parked: [] });
    expect((await molecule(platform, 'parked')).code).toBe(0);
    platform.answers.set('/admin/parked/redrive?seq=3', { redriven: 3 });
    expect((await molecule(platform, 'parked', '--redrive', '3')).code).toBe(0);
    expect((await molecule(platform, 'parked', '--redrive', 'x')).code).toBe(2);
    expect(platform.asked).toEqual(['GET /admin/parked', 'GET /admin/parked', 'POST /admin/parked/redrive?seq=3']);
  });
});

describe('molecule rebuild', () => {
  const projection = { projection: 'p', table: 't', rows: 1, missing: 0, unexpected: 0, examples: [] };
  const result = (check: boolean, missing = 0) => ({
    check,
    reports: [{ service: 'registry', facts: 2, projections: [{ ...projection, missing }] }],
    failed: [],
  });

  it('asks for what was wanted, and fails on a difference', async ({ platform }) => {
    platform.answers.set('/admin/rebuild?check=1&service=registry', result(true));
    expect((await molecule(platform, 'rebuild', '--check', '--service', 'registry')).code).toBe(0);
    platform.answers.set('/admin/rebuild?check=1', result(true, 1));
    expect((await molecule(platform, 'rebuild', '--check')).code).toBe(1);
    platform.answers.set('/admin/rebuild', result(false, 1));
    expect((await molecule(platform, 'rebuild')).code).toBe(0);
    platform.answers.set('/admin/rebuild', { ...result(false), failed: [{ service: 'sweeper', error: 'no answer' }] });
    expect((await molecule(platform, 'rebuild', '--json')).code).toBe(1);
    expect(platform.asked.every((line) => line.startsWith('POST /admin/rebuild'))).toBe(true);
  });
});

describe('molecule audit', () => {
  const sums = { accepted: 2, completed: 1, failed: 0, dropped: 0, open: 1, byOutcome: {}, unbalanced: [] };

  it('fails when a message did not end once', async ({ platform }) => {
    platform.answers.set('/admin/audit', { ...sums, balanced: true });
    expect((await molecule(platform, 'audit')).code).toBe(0);
    platform.answers.set('/admin/audit', { ...sums, balanced: false, unbalanced: ['m1'] });
    const { code, out } = await molecule(platform, 'audit');
    expect(code).toBe(1);
    expect(out.join('\n')).toContain('m1');
  });
});

describe('molecule events', () => {
  const time = (n: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, n)).toISOString();
  const row = (n: number, workspace_id: string | null = 'w') => ({
    id: `e${n}`,
    event_type: 'WORKSPACE_ONLINE',
    workspace_id,
    payload: { n },
    created_at: time(n),
  });
  const frame = (n: number, more: Record<string, unknown> = {}) => ({
    event: 'WORKSPACE_ONLINE',
    workspace_id: 'w',
    timestamp: time(n),
    payload: { n },
    ...more,
  });
  const shown = (lines: readonly string[]) => lines.map((line) => JSON.parse(line).payload.n);

  it('tells the log, oldest first', async ({ platform }) => {
    platform.answers.set('/events', [row(3), row(2, null), row(1)]);
    const { code, out } = await molecule(platform, 'events', '--json');
    expect(code).toBe(0);
    expect(shown(out)).toEqual([1, 2, 3]);
    platform.answers.set('/events/w', [row(3)]);
    expect(shown((await molecule(platform, 'events', '--json', '--workspace', 'W')).out)).toEqual([3]);
  });

  it('V1, V2: follows, each event once, also across a lost connection', async ({ platform }) => {
    platform.answers.set('/events', [row(2), row(1)]);
    const terminal = recorded({ MOLECULE_URL: platform.url, ADMIN_TOKEN: TOKEN });
    const running = main(['events', '--follow', '--json'], terminal);
    const printed = (count: number) => waitFor(() => terminal.lines.length >= count, { what: `${count} events` });
    await printed(2);
    platform.say(frame(2));
    platform.say({ not: 'a frame' });
    platform.say(frame(3));
    await printed(3);

    const { port } = platform;
    await platform.stop();
    platform.answers.set('/events', [row(4), row(3), row(2)]);
    await waitFor(() => terminal.notes.length > 0, { what: 'the loss to be noticed' });
    await platform.start(port);
    await printed(4);
    platform.say(frame(5));
    await printed(5);
    expect(shown(terminal.lines)).toEqual([1, 2, 3, 4, 5]);
    expect(terminal.notes).toContain('connected again');
    terminal.interrupt();
    expect(await running).toBe(0);
  });

  it('V2: comes back with the place it had reached; told of a gap, says so and reads the log', async ({ platform }) => {
    platform.answers.set('/events', [row(1)]);
    const terminal = recorded({ MOLECULE_URL: platform.url, ADMIN_TOKEN: TOKEN });
    const running = main(['events', '--follow', '--json'], terminal);
    const printed = (count: number) => waitFor(() => terminal.lines.length >= count, { what: `${count} events` });
    await printed(1);
    platform.say(frame(2, { seq: 'a-2' }));
    await printed(2);
    for (const socket of platform.sockets) socket.terminate();
    await waitFor(() => platform.asked.includes('GET /ws?since=a-2') && platform.sockets.size === 1, { what: 'it to come back' });
    platform.answers.set('/events', [row(4), row(3), row(2)]);
    platform.say(frame(3, { seq: 'a-3' }));
    await printed(3);
    platform.say({ ...frame(0), event: 'GAP', workspace_id: '', payload: { since: 'a-3', reason: 'expired' }, seq: 'a-4' });
    platform.say(frame(4, { seq: 'a-4' }));
    platform.say(frame(5, { seq: 'a-5' }));
    await printed(5);
    expect(shown(terminal.lines)).toEqual([1, 2, 3, 4, 5]);
    expect(terminal.notes).toContain('events were missed (expired); reading the log');
    expect(platform.asked.filter((asked) => asked === 'GET /events')).toHaveLength(2);
    for (const socket of platform.sockets) socket.terminate();
    await waitFor(() => platform.asked.includes('GET /ws?since=a-5'), { what: 'it to come back again' });
    terminal.interrupt();
    expect(await running).toBe(0);
  });

  it('says so when it cannot begin', async ({ platform }) => {
    const refused = recorded({ MOLECULE_URL: platform.url });
    expect(await main(['events', '--follow'], refused)).toBe(1);
    expect(refused.notes.join()).toContain('Set ADMIN_TOKEN');
    const nowhere = recorded({ MOLECULE_URL: `http://127.0.0.1:${await freePort()}` });
    expect(await main(['events', '--follow'], nowhere)).toBe(1);
    expect(nowhere.notes.join()).toContain('npm start');
  });
});

describe('molecule doctor', () => {
  it('examines this machine, and changes nothing', async ({ platform }) => {
    const terminal = recorded({
      PATH: process.env['PATH'],
      PORT: String(platform.port),
      NATS_URL: 'nats://x',
      DATABASE_URL: 'x',
    });
    expect(await main(['doctor', '--json'], terminal)).toBe(1);
    const findings = JSON.parse(terminal.lines.join(''));
    const states = Object.fromEntries(findings.map(({ name, state }: { name: string; state: string }) => [name, state]));
    expect(states).toMatchObject({ Node: 'ok', 'nats-server': 'ok', PostgreSQL: 'ok', port: 'bad' });
    expect(findings.find(({ name }: { name: string }) => name === 'port').mend).toBe('PORT=0 npm start');
  });

  it('calls the process backend what it is', async () => {
    const terminal = recorded({ PROVISIONER_BACKEND: 'process' });
    await main(['doctor'], terminal);
    expect(terminal.lines.join('\n')).toMatch(/note +backend +the process backend, no isolation/);
  });
});

describe('molecule explain', () => {
  const id = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
  const explanation = {
    id,
    status: 'offline',
    since: '2026-03-02T09:00:00.000Z',
    because: {
      fact_type: 'workspace.status',
      fact_id: 'f',
      version: 3,
      reason: 'liveness-lost',
      recorded_at: '2026-03-02T09:00:00.000Z',
      error: 'two\nlines',
      evidence: { fact_type: 'liveness.lost', fact_id: 'e', recorded_at: '2026-03-02T08:59:59.000Z', data: {} },
    },
    next: { who: 'operator', what: 'Restart it.' },
    deadline: '2026-03-02T09:03:00.000Z',
    consequence: 'It goes.',
    deadlines: [{ at: '2026-03-02T09:03:00.000Z', consequence: 'It goes.' }],
    legal_actions: [{ action: 'restart', method: 'POST', path: `/workspaces/${id}/restart`, effect: 'Becomes provisioning.' }],
    vitals: { last_beat_at: '2026-03-02T08:56:00.000Z', active_tasks: 2, current_task: 'thinking' },
    paused_ancestor: 'team',
  };

  it('says it on a few lines, whatever the texts hold', async ({ platform }) => {
    platform.answers.set(`/workspaces/${id}/explain`, explanation);
    expect(await molecule(platform, 'explain', id.toUpperCase())).toEqual({
      code: 0,
      notes: [],
      out: [
        `${id}  offline since 2026-03-02T09:00:00.000Z`,
        '  because       liveness-lost (workspace.status): two\\nlines',
        '  evidence      liveness.lost at 2026-03-02T08:59:59.000Z',
        '  next          operator: Restart it.',
        '  deadline      2026-03-02T09:03:00.000Z: It goes.',
        '  last beat     2026-03-02T08:56:00.000Z, 2 active: thinking',
        '  paused above  team',
        '',
        'What may be done',
        `  restart  POST /workspaces/${id}/restart  Becomes provisioning.`,
      ],
    });
    const { out } = await molecule(platform, 'explain', id, '--json');
    expect(JSON.parse(out[0] ?? '')).toEqual(explanation);
  });

  it.for([
    [[], 'takes one workspace'],
    [[id, id], 'takes one workspace'],
    [['atlas'], '"atlas" is not the id of a workspace'],
  ] as const)('%j: not understood', async ([args, said], { platform }) => {
    const { code, notes, out } = await molecule(platform, 'explain', ...args);
    expect({ code, out, note: notes[0] }).toEqual({ code: 2, out: [], note: expect.stringContaining(said) });
  });
});

describe('molecule trace', () => {
  const step = (second: number, what: string, text: string) => ({ at: `2026-03-02T09:00:0${second}.123Z`, what, text });
  const pm = { id: 'p', name: 'pm' };
  const atlas = { id: 'a', name: 'at\nlas' };
  const message = {
    id: 'm1',
    root_id: 'm1',
    parent_id: null,
    depth: 0,
    source: 'canvas',
    from: null,
    to: pm,
    method: 'message/send',
    state: 'answered',
    started_at: '2026-03-02T09:00:00.000Z',
    ended_at: '2026-03-02T09:00:00.250Z',
    dispatches: 1,
    waited_ms: 0,
    steps: [step(0, 'a2a.answered', 'answered')],
  };
  const below = {
    ...message,
    id: 'm2',
    parent_id: 'm1',
    depth: 1,
    source: 'workspace',
    from: pm,
    to: atlas,
    method: '',
    state: 'completed',
    ended_at: '2026-03-02T09:00:09.000Z',
    dispatches: 2,
    waited_ms: 8_500,
    steps: [step(1, 'a2a.queued', 'waits'), step(9, 'a2a.completed', 'delivered')],
  };
  const told = {
    asked: ['m2'],
    messages: [message, below],
    delegations: [
      {
        delegation_id: 'd',
        from: pm,
        to: atlas,
        state: 'completed',
        message_ids: ['m2'],
        steps: [step(0, 'delegation.sent', 'accepted')],
      },
    ],
    truncated: false,
  };

  it('tells a message’s whole way', async ({ platform }) => {
    platform.answers.set('/admin/trace/from%2Fme', told);
    expect(await molecule(platform, 'trace', 'from/me')).toEqual({
      code: 0,
      notes: [],
      out: [
        'canvas → pm  message/send  answered after 250 ms',
        '  m1',
        '  09:00:00.123  answered',
        '',
        '  pm → at\\nlas  completed after 9.0 s, 8.5 s of it in the mailbox, sent 2 times',
        '    m2',
        '    09:00:01.123  waits',
        '    09:00:09.123  delivered',
        '',
        'delegation d: pm → at\\nlas  completed',
        '  09:00:00.123  accepted',
      ],
    });
    const { out } = await molecule(platform, 'trace', 'from/me', '--json');
    expect(JSON.parse(out[0] ?? '')).toEqual(told);
  });

  it('says when nothing is known', async ({ platform }) => {
    platform.nothing = '{"error":"nothing is known of this id"}';
    expect(await molecule(platform, 'trace', 'nothing')).toEqual({ code: 1, out: [], notes: ['nothing is known of this id'] });
  });
});
