/** What the routes of the MCP endpoint say of themselves in the reference. */
import { Json } from '@molecule/contracts';
import { doc, type RouteDoc } from '@molecule/http';
import { z } from 'zod';
import { TOO_MANY } from './streams.ts';

export const MISSING_BEARER = 'missing bearer token';
export const RATE_LIMITED = 'MCP rate limit exceeded';

const LIMITED: NonNullable<RouteDoc['refusals']> = [
  ['unauthenticated', MISSING_BEARER],
  ['too-many', RATE_LIMITED, { retry_after: 60 }],
];

const RpcAnswer = z
  .object({
    jsonrpc: z.literal('2.0'),
    id: Json,
    result: Json.optional(),
    error: z.object({ code: z.int(), message: z.string() }).optional(),
  })
  .meta({ id: 'McpAnswer' });

export const mcpDoc: RouteDoc = {
  summary: 'Call a tool in the name of a workspace',
  description:
    'The Model Context Protocol, one JSON-RPC request at a time: `initialize`, `ping`, `tools/list` and `tools/call`. Clients of streamable HTTP are answered as that transport says, with JSON; all others as MCP 2024-11-05. A bearer is needed always, and may make 120 requests a minute.',
  source: 'spec 2 §7.11',
  headers: {
    'MCP-Protocol-Version': 'Streamable HTTP: the version that was agreed on.',
    Accept: 'Streamable HTTP: `application/json, text/event-stream`.',
  },
  body: z.object({ jsonrpc: z.literal('2.0'), id: Json.optional(), method: z.string(), params: Json.optional() }),
  answers: {
    200: { description: 'The answer, also of what failed.', body: RpcAnswer },
    202: { description: 'Streamable HTTP: a notification or an answer was taken.' },
    400: { description: 'The body is no request, or of a protocol version that nobody here knows.', body: RpcAnswer },
  },
  refusals: [...LIMITED, ['unavailable', 'platform datastore unavailable — retry shortly', { code: 'platform_unavailable' }]],
};

export const streamDoc: RouteDoc = {
  summary: 'Ask where to send MCP requests',
  description:
    'For clients of MCP 2024-11-05: server-sent events, the address first and then a sign of life every 30 s. Answers come where the requests are sent.',
  source: 'spec 2 §7.11',
  answers: { 200: { description: 'The stream.', body: 'text/event-stream' } },
  refusals: [...LIMITED, ['too-many', TOO_MANY]],
};

const NO_STREAM = 'Streamable HTTP: there is no stream to listen to, and no session to end.';

export const noStreamDoc = doc({
  summary: 'Say that the MCP endpoint pushes nothing',
  source: 'addition',
  answers: { 405: { description: NO_STREAM, body: z.strictObject({ error: z.literal('method not allowed') }) } },
});

export const noSessionDoc = doc({
  summary: 'Say that the MCP endpoint keeps no sessions',
  source: 'addition',
  answers: { 405: { description: NO_STREAM, body: z.strictObject({ error: z.literal('method not allowed') }) } },
});
