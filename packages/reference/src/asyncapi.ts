/**
 * The AsyncAPI 3 document of what travels over the bus, and of what canvases and agents hear at the edge, made of the contracts that
 * both sides parse with. Pure.
 *
 *   A1. Every subject builder, every fact, every ask and every event of the wire stands in it; the compiler, or a test, says what
 *       is missing.
 *   A2. A fact for the owner alone has no address: it is in the owner's log, and on no bus.
 */
import { ParkedBody } from '@molecule/bus';
import {
  ask,
  Beat,
  CANVAS_EVENTS,
  type CanvasEventContract,
  DenialReport,
  FACTS,
  type FactContract,
  GapPayload,
  LiveBatch,
  type RpcContract,
  STREAMS,
  subjects,
  TokenUses,
} from '@molecule/contracts';
import { BarrierReply, BarrierRequest, Presence } from '@molecule/directory';
import { z } from 'zod';
import { type JsonSchema, Schemas } from './json-schema.ts';

interface Channel {
  readonly address: string | null;
  readonly title: string;
  readonly description: string;
  readonly server: 'bus' | 'edge';
  /** By name: unique in the document. */
  readonly messages: Readonly<Record<string, Message>>;
  readonly reply?: Readonly<Record<string, Message>>;
  readonly bindings?: JsonSchema;
}

interface Message {
  readonly title: string;
  readonly summary: string;
  readonly payload: z.ZodType;
}

/** Stands for a token of a subject, and is no wildcard: the builders take it like an id. */
const slot = (name: string): string => `__${name}__`;
const withSlots = (subject: string): string => subject.replaceAll(/__([A-Za-z]+)__/g, '{$1}');

const message = (title: string, summary: string, payload: z.ZodType): Message => ({ title, summary, payload });

/** What the bus carries beside facts and asks, by the builder of its subject. `null`: patterns that only readers name. */
const BY_SUBJECT = {
  heartbeat: channel(
    subjects.heartbeat(slot('workspaceId')),
    'Beats that declare capabilities',
    `An accepted beat that says what its runtime does itself. Published without acknowledgement; the stream ${STREAMS.heartbeats} keeps the last of each subject.`,
    { Beat: message('Beat', 'A beat, stamped by the gateway that accepted it.', Beat) },
  ),
  partialHeartbeat: channel(
    subjects.partialHeartbeat(slot('workspaceId')),
    'Beats that say nothing of capabilities',
    `What was declared before still holds. The stream ${STREAMS.heartbeats} keeps the last of each subject.`,
    { PartialBeat: message('Beat', 'A beat without runtime metadata.', Beat) },
  ),
  everyHeartbeat: null,
  fact: null,
  everyFact: null,
  live: channel(
    subjects.live('registry', slot('voice')).replace('registry', slot('service')),
    'Live events',
    'What is told to canvases and idle timers, and stored nowhere: batches of what one process had to say within a few milliseconds.',
    { LiveBatch: message('Live events', 'In the order they were said.', LiveBatch) },
  ),
  everyLive: null,
  parked: channel(
    subjects.parked(slot('consumer')),
    'Parked facts',
    `What a consumer could not digest, with its error and origin; kept in the stream ${STREAMS.parked} (GET /admin/parked).`,
    { Parked: message('Parked fact', 'Set aside after its retries.', ParkedBody) },
  ),
  everyParked: null,
  relayNudge: channel(
    subjects.relayNudge('registry').replace('registry', slot('service')),
    'Relay nudges',
    'Wakes the relay of a service that is active in another replica. Without a body.',
    { RelayNudge: message('Nudge', 'There is something to publish.', z.unknown()) },
  ),
  tokenUses: channel(subjects.tokenUses, 'Token uses', 'Gateways tell the registry now and then; what is lost changes nothing.', {
    TokenUses: message('Token uses', 'Which tokens opened a door lately.', TokenUses),
  }),
  denials: channel(subjects.denials, 'Denials', 'What gateways refused, put together per interval, for the audit log.', {
    Denials: message('Denials', 'What one gateway refused within one interval.', DenialReport),
  }),
  directoryPresence: channel(
    subjects.directoryPresence,
    'Presence of directories',
    'Every directory says every two seconds that it is there, and once that it goes: barriers wait for those that are.',
    { Presence: message('Presence', 'Here, or bye.', Presence) },
  ),
  directoryBarrier: {
    ...channel(
      subjects.directoryBarrier,
      'Barriers',
      'The registry asks every directory to answer once it has applied a version of a workspace (I4).',
      { BarrierRequest: message('Barrier', 'Answer once this version is applied; or: who is there?', BarrierRequest) },
    ),
    reply: { BarrierReply: message('Applied', 'Who has applied it.', BarrierReply) },
  },
} as const satisfies Readonly<Record<keyof typeof subjects, Channel | null>>;

/** The envelope of a fact in the log and on the bus (`RecordedFact`). */
const recordedFact = (type: string, { schema }: FactContract) =>
  z.object({
    id: z.guid().describe('Unique: makes repeated deliveries harmless, and is the message id.'),
    stream: z.string().describe('The aggregate it belongs to: `<noun>.<id>`.'),
    version: z.int().positive().describe('1, 2, 3 … without gaps within a stream.'),
    type: z.literal(type),
    schema: z.int().describe('Which shape of `data` was written.'),
    workspaceId: z.string().describe('The workspace it concerns, or `platform`.'),
    recordedAt: z.iso.datetime(),
    commandId: z.string(),
    correlationId: z.string().nullable(),
    causationId: z.string().nullable(),
    traceparent: z.string().nullable(),
    data: schema,
  });

type Payload = Pick<CanvasEventContract, 'payload'>;

/** A frame of the socket (spec 1 §6.1). `seq`: our addition, to come back with. */
const frameOf = (event: string, { payload }: Payload) =>
  z.object({
    event: z.literal(event),
    workspace_id: z.string(),
    timestamp: z.iso.datetime(),
    payload,
    seq: z.string().describe('Where this stands, opaque: who comes back with `?since=` is told what was missed since.'),
  });

/** An event of the SSE stream (spec 1 §6.3): what stands behind `data: `. The `seq` of a frame stands behind `id: `. */
const sseOf = (event: string, { payload }: Payload) =>
  z.object({ type: z.literal(event), timestamp: z.int().describe('Milliseconds since the epoch.'), data: payload });

export const CANVAS_SOCKET_EVENTS: readonly string[] = Object.keys(CANVAS_EVENTS);

/** `WORKSPACE_ONLINE` → `Frame.WORKSPACE_ONLINE` */
const catalogue = (prefix: string, shapeOf: (event: string, contract: Payload) => z.ZodType) => ({
  ...Object.fromEntries(
    Object.entries(CANVAS_EVENTS).map(([event, contract]) => [
      `${prefix}.${event}`,
      message(event, `${contract.when}${contract.kind === 'live' ? ' Not stored.' : ''}`, shapeOf(event, contract)),
    ]),
  ),
  [`${prefix}.GAP`]: message('GAP', GAP_TOLD, shapeOf('GAP', { payload: GapPayload })),
});

const GAP_TOLD =
  'Only to who came back with a place: some of what was missed cannot be told; the current state is to be read again.';

const EDGE: Readonly<Record<string, Channel>> = {
  'edge.socket': {
    ...channel(
      '/ws',
      'The socket of canvases and agents',
      'One JSON text frame per event, to canvases (all of them) and to workspaces (X-Workspace-ID: those they may talk to). What clients send is read and discarded. 256 frames may wait for a slow reader; what is beyond is dropped for it.',
      catalogue('Frame', frameOf),
      'edge',
    ),
    bindings: {
      ws: {
        method: 'GET',
        headers: {
          type: 'object',
          properties: { 'X-Workspace-ID': { type: 'string', description: 'Who listens; without it, a canvas.' } },
        },
        query: {
          type: 'object',
          properties: {
            since: { type: 'string', description: 'The `seq` of the last frame: what was missed since comes first.' },
          },
        },
      },
    },
  },
  'edge.sse': channel(
    '/workspaces/{id}/events/stream',
    'Server-sent events of one workspace',
    'Begins with the comment `: ping`. Who comes back with Last-Event-ID is told first what was missed since. 64 events may wait for a slow reader; what is beyond is dropped.',
    catalogue('Event', sseOf),
    'edge',
  ),
};

function channel(
  address: string | null,
  title: string,
  description: string,
  messages: Channel['messages'],
  server: Channel['server'] = 'bus',
): Channel {
  return { address: address === null ? null : withSlots(address), title, description, server, messages };
}

const factChannels = (): Record<string, Channel> =>
  Object.fromEntries(
    Object.entries(FACTS as Readonly<Record<string, FactContract>>).map(([type, contract]) => {
      const heard = contract.audience === 'all';
      const description = heard
        ? `In the order they were decided, at least once; kept in the stream ${STREAMS.facts}.`
        : 'For its owner alone: in the owner’s log, on no bus.'; // A2
      const messages = { [`fact.${type}`]: message(type, 'A fact, as it was recorded.', recordedFact(type, contract)) };
      return [`fact.${type}`, channel(heard ? subjects.fact(type, slot('workspaceId')) : null, type, description, messages)];
    }),
  );

/** Every ask, by its subject. */
export const everyAsk = (): RpcContract[] => Object.values(ask).flatMap((verbs) => Object.values(verbs) as RpcContract[]);

const askChannels = (): Record<string, Channel> =>
  Object.fromEntries(
    everyAsk().map(({ subject, input, output }) => [
      subject,
      {
        ...channel(subject, subject, `Request and reply. One replica of ${subject.split('.')[1]} answers.`, {
          [`${subject}.request`]: message(subject, 'What is asked.', input),
        }),
        reply: { [`${subject}.reply`]: message(`${subject} answered`, 'What is answered.', output) },
      },
    ]),
  );

function everyChannel(): Record<string, Channel> {
  const other = Object.entries(BY_SUBJECT).filter((entry): entry is [string, Channel] => entry[1] !== null);
  return { ...factChannels(), ...askChannels(), ...Object.fromEntries(other), ...EDGE };
}

export function asyncApiOf({ version }: { readonly version: string }): JsonSchema {
  const schemas = new Schemas({ target: 'draft-7' });
  const channels: Record<string, unknown> = {};
  const operations: Record<string, unknown> = {};
  const messages: Record<string, unknown> = {};
  for (const [id, { address, title, description, server, messages: told, reply, bindings }] of Object.entries(everyChannel())) {
    const own = address === null ? [] : [...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    channels[id] = {
      address,
      title,
      description,
      servers: address === null ? [] : [{ $ref: `#/servers/${server}` }],
      messages: refsOf(told),
      ...(own.length > 0 && { parameters: Object.fromEntries(own.map((name) => [name, { description: PARAMETERS[name] }])) }),
      ...(bindings !== undefined && { bindings }),
    };
    if (reply !== undefined) channels[`${id}.reply`] = { address: null, title: `Replies to ${title}`, messages: refsOf(reply) };
    if (address !== null)
      operations[`${server === 'edge' ? 'hear' : reply === undefined ? 'publish' : 'ask'}.${id}`] = {
        action: 'send',
        channel: { $ref: `#/channels/${pointer(id)}` },
        summary: title,
        ...(reply !== undefined && { reply: { channel: { $ref: `#/channels/${pointer(`${id}.reply`)}` } } }),
      };
    for (const [name, { payload, ...said }] of Object.entries({ ...told, ...reply }))
      messages[name] = { name, ...said, contentType: 'application/json', payload: schemas.of(payload, 'output') };
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Molecule: what it tells',
      version,
      description: 'Facts, beats, live events and requests on the bus, and what canvases and agents hear at the edge.',
    },
    defaultContentType: 'application/json',
    servers: {
      bus: { host: '127.0.0.1:4222', protocol: 'nats', description: 'NATS, between the services. Not for clients.' },
      edge: { host: '127.0.0.1:8080', protocol: 'ws', description: 'The gateway.' },
    },
    channels,
    operations,
    components: { messages, schemas: schemas.components },
  };
}

const PARAMETERS: Readonly<Record<string, string>> = {
  workspaceId: 'The workspace it concerns, or `platform`.',
  id: 'The workspace.',
  service: 'Who says it.',
  voice: 'Which process of it.',
  consumer: 'The service that could not digest it.',
};

const refsOf = (messages: Channel['messages']) =>
  Object.fromEntries(Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${pointer(name)}` }]));

/** A key as a step of a JSON pointer. */
const pointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
