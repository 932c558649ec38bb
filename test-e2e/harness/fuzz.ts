/** Random requests and messages, all from one seed: what anybody might send to a route or a subject, mostly nearly right. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FACTS, PLATFORM, SERVICES, subjects } from '@molecule/contracts';
import fc from 'fast-check';
import { deep, EMPTY_OBJECTS, NO_OBJECT, ODD_IDS } from './bad-input.ts';
import type { Knock } from './knock.ts';

const REFERENCE = fileURLToPath(new URL('../../docs/reference/openapi.json', import.meta.url));

type Schema = Readonly<{
  $ref?: string;
  type?: string | readonly string[];
  format?: string;
  enum?: readonly unknown[];
  anyOf?: readonly Schema[];
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  items?: Schema;
}>;

interface Route {
  readonly method: string;
  /** As `/workspaces/{id}`. */
  readonly path: string;
  /** What its body should be, if it reads one. */
  readonly body: Schema | undefined;
}

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

/** Every route that says what it is. */
function documentedRoutes(): Route[] {
  const { paths } = JSON.parse(readFileSync(REFERENCE, 'utf8')) as { paths: Readonly<Record<string, Record<string, Operation>>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      body: requestBody?.content['application/json']?.schema,
    })),
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

/** What a schema asks for, as far as its shape goes; each part of it may be something else now and then. */
function shaped(schema: Schema, known: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const { $ref, type, format, enum: allowed, anyOf, properties, required = [], items } = schema;
  const likely = (): fc.Arbitrary<unknown> => {
    if (allowed) return fc.constantFrom(...allowed);
    if (anyOf) return fc.oneof(...anyOf.map((one) => shaped(one, known)));
    if (Array.isArray(type)) return fc.oneof(...type.map((one: string) => shaped({ ...schema, type: one }, known)));
    switch ($ref === undefined ? type : undefined) {
      case 'string':
        return format === 'uuid' ? known : fc.oneof(text, known, fc.constantFrom('atlas', 'message/send', '*/5 * * * *'));
      case 'integer':
      case 'number':
        return fc.oneof(fc.nat(5), fc.integer(), fc.constantFrom(...ODD_NUMBERS));
      case 'boolean':
        return fc.boolean();
      case 'null':
        return fc.constant(null);
      case 'array':
        return fc.array(shaped(items ?? {}, known), { maxLength: 3 });
      case 'object': {
        if (properties === undefined) return fc.dictionary(text, value(known), { maxKeys: 3 });
        const members = Object.entries(properties).map(([name, member]) => [name, shaped(member, known)] as const);
        return fc.record(Object.fromEntries(members), { requiredKeys: [...required] });
      }
      default:
        return value(known);
    }
  };
  return fc.oneof({ weight: 14, arbitrary: likely() }, { weight: 1, arbitrary: value(known) });
}

const json = (item: unknown): string => JSON.stringify(item) ?? 'undefined';

function bodies(schema: Schema | undefined, known: fc.Arbitrary<string>): fc.Arbitrary<string | Buffer | undefined> {
  const members = fc.dictionary(fc.constantFrom(...MEMBERS), value(known), { minKeys: 1, maxKeys: 10 });
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: schema === undefined ? 0 : 8, arbitrary: shaped(schema ?? {}, known).map(json) },
    { weight: 2, arbitrary: members.map(json) },
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
        { weight: 6, arbitrary: bearers },
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

/** A workspace that anything may happen to. */
export interface Prey {
  readonly id: string;
  readonly token: string;
}

/**
 * A request to a route that is there, to one that nearly is, or to none; mostly in the name of the one that it concerns. Only the
 * `doomed` are removed where that succeeds, or there would soon be nobody left to send anything about.
 */
export function requests(prey: readonly Prey[], doomed: readonly string[]): fc.Arbitrary<Knock> {
  const others = fc.oneof(fc.constantFrom(...prey.map(({ id }) => id)), fc.uuid());
  const tokens = fc.constantFrom(...prey.map(({ token }) => token));
  const routes = documentedRoutes();
  const query = fc
    .array(fc.tuple(fc.constantFrom(...MEMBERS), fc.oneof(text, others)), { maxLength: 4 })
    .map((pairs) => pairs.map(([name, any]) => `${name}=${encodeURIComponent(any.toWellFormed())}`).join('&'));
  const asking = fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    { weight: 2, arbitrary: query.map((made) => `?${made}`) },
    { weight: 1, arbitrary: fc.constantFrom('?', '?%', '?=&=&', '?a[]=1&a[]=2', `?q=${'%E2%82%AC'.repeat(300)}`) },
  );
  return fc.constantFrom(...prey).chain((self) => {
    const known = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(self.id, self.id.toUpperCase()) },
      { weight: 2, arbitrary: others },
    );
    const segment = (removes: boolean) =>
      fc.oneof(
        { weight: 8, arbitrary: removes ? fc.oneof(fc.constantFrom(...doomed), fc.uuid()) : known },
        { weight: 1, arbitrary: fc.constantFrom(...ODD_IDS) },
        { weight: 1, arbitrary: text.map((any) => encodeURIComponent(any.toWellFormed())) },
      );
    const filled = (method: string, path: string): fc.Arbitrary<string> => {
      const part = segment(method === 'DELETE' && path === '/workspaces/{id}');
      return fc
        .tuple(...path.split('/').map((name) => (/^\{.*\}$/.test(name) ? part : fc.constant(name))))
        .map((parts) => parts.join('/'));
    };
    const calls = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...routes) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom(...METHODS), fc.constantFrom(...routes))
          .map(([method, route]) => ({ ...route, method })),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom(...METHODS), fc.array(fc.oneof(fc.constantFrom(...SEGMENTS), segment(true)), { maxLength: 5 }))
          .map(([method, parts]) => ({ method, path: `/${parts.join('/')}`, body: undefined })),
      },
    );
    const bearers = fc.oneof(
      { weight: 5, arbitrary: fc.constant(`Bearer ${self.token}`) },
      { weight: 1, arbitrary: tokens.map((token) => `Bearer ${token}`) },
    );
    return calls.chain(({ method, path, body }) =>
      fc
        .record({ path: filled(method, path), asking, body: bodies(body, known), headers: headers(known, bearers) })
        .map((made) => ({
          method,
          path: `${made.path}${made.asking}`,
          headers: made.headers,
          ...(made.body !== undefined && method !== 'GET' && method !== 'HEAD' && { body: made.body }),
        })),
    );
  });
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
