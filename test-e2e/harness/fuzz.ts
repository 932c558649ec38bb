/** Random requests and messages, all from one seed: what anybody might send to a route or a subject, mostly nearly right. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FACTS, PLATFORM, SERVICES, subjects } from '@molecule/contracts';
import fc from 'fast-check';
import { deep, EMPTY_OBJECTS, NO_OBJECT, ODD_IDS } from './bad-input.ts';
import type { Knock } from './knock.ts';

const REFERENCE = fileURLToPath(new URL('../../docs/reference/openapi.json', import.meta.url));

/** Every route that says what it is, as `GET /workspaces/{id}`. */
export function documentedRoutes(): [method: string, path: string][] {
  const { paths } = JSON.parse(readFileSync(REFERENCE, 'utf8')) as { paths: Readonly<Record<string, object>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  );
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
/** Segments of other routes, there or not. */
const SEGMENTS = [
  ...[
    '',
    '.',
    '..',
    '%2e%2e',
    '%2f',
    'a2a',
    'activity',
    'admin',
    'agent',
    'approvals',
    'audit',
    'budget',
    'bundles',
    'channels',
    'chat',
  ],
  ...[
    'config',
    'console',
    'delegate',
    'events',
    'files',
    'health',
    'instructions',
    'mcp',
    'memory',
    'org',
    'orgs',
    'plugins',
    'registry',
  ],
  ...[
    'schedules',
    'secrets',
    'sessions',
    'settings',
    'shared-context',
    'state',
    'stream',
    'templates',
    'terminal',
    'tokens',
    'webhooks',
  ],
];

/** Names that bodies, queries and agents use. */
const MEMBERS = [
  ...[
    'name',
    'role',
    'tier',
    'template',
    'runtime',
    'model',
    'external',
    'url',
    'parent_id',
    'canvas',
    'secrets',
    'budget_limit',
  ],
  ...['workspace_dir', 'workspace_access', 'max_concurrent_tasks', 'initial_memories', 'x', 'y', 'collapsed', 'id', 'agent_card'],
  ...[
    'workspace_id',
    'error_rate',
    'sample_error',
    'active_tasks',
    'current_task',
    'uptime_seconds',
    'monthly_spend',
    'caller_id',
  ],
  ...[
    'runtime_metadata',
    'capabilities',
    'idle_timeout_seconds',
    'target_id',
    'cron_expr',
    'timezone',
    'prompt',
    'enabled',
    'jsonrpc',
  ],
  ...[
    'method',
    'params',
    'message',
    'parts',
    'messageId',
    'type',
    'limit',
    'since',
    'since_secs',
    'before',
    'after',
    'q',
    'confirm',
  ],
  ...[
    'purge',
    'force',
    'as_of',
    'service',
    'check',
    'sequence',
    'source',
    'token',
    '__proto__',
    'constructor',
    'status',
    'reason',
  ],
];

const ODD_TEXTS = [
  ...[
    '',
    ' ',
    '\0',
    '\ud800',
    'a\nb',
    '../../etc/passwd',
    "' or 1=1 --",
    '%{7*7}',
    '{{7*7}}',
    '<script>',
    'null',
    'true',
    '1e400',
  ],
  ...[
    '* * * * *',
    'echo',
    'online',
    'http://localhost:9',
    'http://169.254.169.254/',
    'ftp://a',
    'http://[::1]:1',
    'message/send',
  ],
  ...['2026-01-01T00:00:00Z', '9999-99-99', 'Europe/Berlin', '٣', 'ﷺ', '\u202e', 'x'.repeat(5_000), '-1', '9007199254740993'],
];
const ODD_NUMBERS = [0, -0, -1, 1, 0.5, 1e21, -1e308, 2 ** 31, 2 ** 53 + 1, Number.MIN_VALUE];

const text = fc.oneof(fc.constantFrom(...ODD_TEXTS), fc.string({ unit: 'binary', maxLength: 40 }));
const value = (known: fc.Arbitrary<string>): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      text,
      known,
      fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.integer(), fc.double()),
      fc.constantFrom(null, true, false),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...MEMBERS), text), tie('value'), { maxKeys: 6 }),
    ),
  })).value;

const json = (item: unknown): string => JSON.stringify(item) ?? 'undefined';

function bodies(known: fc.Arbitrary<string>): fc.Arbitrary<string | Buffer | undefined> {
  const members = fc.dictionary(fc.constantFrom(...MEMBERS), value(known), { minKeys: 1, maxKeys: 10 });
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: members.map(json) },
    { weight: 1, arbitrary: value(known).map(json) },
    { weight: 1, arbitrary: fc.constantFrom(...Object.values(NO_OBJECT), ...Object.values(EMPTY_OBJECTS), deep(150)) },
    // Cut, doubled, or with a byte from elsewhere: JSON that nearly is.
    {
      weight: 1,
      arbitrary: fc.tuple(members.map(json), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([whole, at, byte]) => {
        const bytes = Buffer.from(whole);
        bytes[at % bytes.length] = byte;
        return bytes;
      }),
    },
  );
}

/** What node's client is willing to send as a value. */
const headerText = fc.oneof(
  fc.constantFrom(...ODD_TEXTS).map((odd) => odd.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')),
  fc.string({ maxLength: 30 }).map((any) => any.replaceAll(/[^\t\x20-\x7e]/g, '?')),
);

const headers = (known: fc.Arbitrary<string>, bearers: fc.Arbitrary<string>): fc.Arbitrary<Record<string, string>> =>
  fc.record(
    {
      authorization: fc.oneof(
        bearers,
        headerText,
        headerText.map((any) => `Bearer ${any}`),
      ),
      'content-type': fc.constantFrom(
        'application/json',
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        '',
      ),
      'x-workspace-id': fc.oneof(known, headerText),
      'x-timeout': fc.constantFrom('1', '0', '-5', '99999999999999999999', 'soon'),
      'x-forwarded-for': headerText,
      'x-forwarded-proto': fc.constantFrom('https', 'gopher', ''),
      'x-molecule-context': headerText,
      'x-request-id': headerText,
      'last-event-id': fc.oneof(headerText, fc.nat().map(String)),
      origin: fc.constantFrom('http://localhost:3000', 'http://evil.example', 'null', '*'),
      cookie: headerText.map((any) => `molecule_session=${any.replaceAll(/[;,\s"\\]/g, '')}`),
      accept: fc.constantFrom('text/event-stream', 'application/json', '*/*'),
      'accept-encoding': fc.constantFrom('gzip', 'identity;q=0'),
      expect: fc.constant('100-continue'),
      range: fc.constant('bytes=0-1'),
    },
    { requiredKeys: [] },
  );

export interface Targets {
  /** Ids of workspaces that anything may happen to. */
  readonly ids: readonly string[];
  readonly tokens: readonly string[];
}

/** A request to a route that is there, to one that nearly is, or to none. */
export function requests({ ids, tokens }: Targets): fc.Arbitrary<Knock> {
  const known = fc.oneof(fc.constantFrom(...ids), fc.uuid(), fc.constantFrom(...ids.map((id) => id.toUpperCase())));
  const segment = fc.oneof(
    { weight: 4, arbitrary: known },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_IDS) },
    { weight: 1, arbitrary: text.map((any) => encodeURIComponent(any.toWellFormed())) },
  );
  const filled = (path: string): fc.Arbitrary<string> =>
    fc
      .tuple(...path.split('/').map((part) => (/^\{.*\}$/.test(part) ? segment : fc.constant(part))))
      .map((parts) => parts.join('/'));
  const routes = documentedRoutes();
  const target = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...routes).chain(([method, path]) => fc.tuple(fc.constant(method), filled(path))) },
    {
      weight: 2,
      arbitrary: fc.tuple(
        fc.constantFrom(...METHODS),
        fc.constantFrom(...routes).chain(([, path]) => filled(path)),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(
        fc.constantFrom(...METHODS),
        fc.array(fc.oneof(fc.constantFrom(...SEGMENTS), segment), { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
      ),
    },
  );
  const query = fc
    .array(fc.tuple(fc.constantFrom(...MEMBERS), fc.oneof(text, known)), { maxLength: 4 })
    .map((pairs) => pairs.map(([name, any]) => `${name}=${encodeURIComponent(any.toWellFormed())}`).join('&'));
  const asking = fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    { weight: 2, arbitrary: query.map((made) => `?${made}`) },
    { weight: 1, arbitrary: fc.constantFrom('?', '?%', '?=&=&', '?a[]=1&a[]=2', `?q=${'%E2%82%AC'.repeat(300)}`) },
  );
  const bearers = fc.constantFrom(...tokens.map((token) => `Bearer ${token}`));
  return fc
    .record({ target, asking, body: bodies(known), headers: headers(known, bearers) })
    .map(({ target: [method, path], asking: search, body, headers: sent }) => ({
      method,
      path: `${path}${search}`,
      headers: sent,
      ...(body !== undefined && method !== 'GET' && method !== 'HEAD' && { body }),
    }));
}

export interface Told {
  readonly subject: string;
  readonly body: Uint8Array;
}

/** What comes on a subject of the bus, of whatever family: about workspaces that nobody knows, so that the platform stays as it is. */
export function messages(): fc.Arbitrary<Told> {
  const unknown = fc.uuid();
  const subject = unknown.chain((id) =>
    fc.constantFrom(
      ...Object.keys(FACTS).flatMap((type) => [subjects.fact(type, id), subjects.fact(type, PLATFORM)]),
      ...Array(20).fill(subjects.heartbeat(id)),
      ...Array(20).fill(subjects.partialHeartbeat(id)),
      ...SERVICES.flatMap((service) => [subjects.live(service, 'fuzz'), subjects.relayNudge(service), `ask.${service}.health`]),
      ...[subjects.directoryBarrier, subjects.directoryPresence, subjects.tokenUses, subjects.denials],
      ...['directory', 'resolve', 'rows', 'token', 'change'].map((verb) => `ask.registry.${verb}`),
      ...['backend', 'stop', 'reap', 'managed'].map((verb) => `ask.provisioner.${verb}`),
      ...['ask.a2a-proxy.dispatch', 'ask.scheduler.disableFor', 'ask.sweeper.sweep', 'ask.nobody.nothing'],
    ),
  );
  const envelope = fc.record(
    {
      id: fc.oneof(unknown, text),
      type: fc.oneof(fc.constantFrom(...Object.keys(FACTS)), text),
      stream: text,
      version: fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.nat()),
      workspaceId: fc.oneof(unknown, text),
      recordedAt: text,
      schema: fc.constantFrom(...ODD_NUMBERS),
      data: value(unknown),
      meta: value(unknown),
      seq: fc.constantFrom(...ODD_NUMBERS),
      gateway: text,
      receivedAt: fc.constantFrom(...ODD_NUMBERS),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.oneof(envelope, fc.array(envelope, { maxLength: 3 }), value(unknown)).map((item) => Buffer.from(json(item))),
    fc.constantFrom(...Object.values(NO_OBJECT)).map((odd) => Buffer.from(odd).subarray(0, 60_000)),
  );
  return fc.record({ subject, body });
}
