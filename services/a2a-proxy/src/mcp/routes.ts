/** The MCP endpoint of a workspace (spec 2 §7.11, ADR 20): who may, how often, and in which dialect it is answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isWorkspaceId, type Principal, platformUnavailable, Refusal, type RequestContext } from '@molecule/contracts';
import type { Directory } from '@molecule/directory';
import {
  auth,
  BodyError,
  isUnavailable,
  JSON_TYPE,
  type RawRoute,
  readBody,
  sendError,
  type WithContext,
  workspaceRefusal,
} from '@molecule/http';
import type { Log } from '@molecule/service';
import type { Hono } from 'hono';
import { MISSING_BEARER, mcpDoc, noSessionDoc, noStreamDoc, RATE_LIMITED, streamDoc } from './docs.ts';
import { type BearerLimit, hashOf, limitHeaders, shownBearer } from './limit.ts';
import { dialectOf, initialized, unknownVersion } from './protocol.ts';
import { errorText, nothingText, parseError, RPC, type RpcCall, RpcFailure, readCall, resultText } from './rpc.ts';
import type { McpStreams } from './streams.ts';
import { listedTools } from './tool.ts';
import type { Tools } from './tools.ts';

const PATH = '/workspaces/:id/mcp';

export interface McpRouteParts {
  readonly tools: Tools;
  readonly toUser: boolean;
  readonly limit: BearerLimit;
  readonly streams: McpStreams;
  readonly directory: Pick<Directory, 'get' | 'hasAccess'>;
  readonly log: Log;
  readonly isStopping: () => boolean;
}

interface Admitted {
  readonly id: string;
  readonly bearer: string;
  /** Where the bearer stands: they go with every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

export function mcpRoutes(app: Hono<WithContext>, parts: McpRouteParts): RawRoute[] {
  app.get(PATH, noStreamDoc, auth.workspace, (c) => c.body(NOT_HERE, 405, { allow: 'POST', 'content-type': JSON_TYPE }));
  app.delete(PATH, noSessionDoc, auth.workspace, (c) => c.body(NOT_HERE, 405, { allow: 'POST', 'content-type': JSON_TYPE }));

  const endpoint: RawRoute = {
    method: 'POST',
    path: PATH,
    pattern: /^\/workspaces\/([^/]+)\/mcp$/,
    authClass: 'workspace',
    doc: mcpDoc,
    handle: (req, res, { params, context }) =>
      guarded(req, res, params, context, async (admitted) => write(res, admitted, await answerTo(req, admitted.id, parts))),
  };
  const stream: RawRoute = {
    method: 'GET',
    path: `${PATH}/stream`,
    pattern: /^\/workspaces\/([^/]+)\/mcp\/stream$/,
    authClass: 'workspace',
    doc: streamDoc,
    handle: (req, res, { params, context }) =>
      guarded(req, res, params, context, async ({ id, bearer, headers }) => {
        const isGood = () => stillOpens(parts.directory, context.principal, id);
        parts.streams.begin(res, headers, { workspaceId: id, bearer: hashOf(bearer), isGood });
      }),
  };
  return [endpoint, stream];

  /** A bearer is asked for before anything else, counted, and only then judged. */
  async function guarded(
    req: IncomingMessage,
    res: ServerResponse,
    [segment = '']: string[],
    { principal }: RequestContext,
    work: (admitted: Admitted) => Promise<void>,
  ): Promise<void> {
    const bearer = shownBearer(req.headers.authorization);
    if (bearer === null) throw new Refusal('unauthenticated', MISSING_BEARER);
    const admission = parts.limit.take(bearer);
    const headers = limitHeaders(admission);
    const retryAfter = admission.resetSeconds;
    const id = isWorkspaceId(segment) ? segment.toLowerCase() : segment;
    try {
      if (!admission.allowed)
        throw new Refusal('too-many', RATE_LIMITED, {
          body: { retry_after: retryAfter },
          headers: { 'Retry-After': String(retryAfter) },
        });
      const refusal = workspaceRefusal(principal, id);
      if (refusal !== null) throw refusal;
      if (parts.isStopping()) throw platformUnavailable();
      await work({ id, bearer, headers });
    } catch (error) {
      if (!res.headersSent) for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
      sendError(res, error, parts.log);
    }
  }
}

/** There is no stream to listen to, and no session to end. */
const NOT_HERE = '{"error":"method not allowed"}';

interface Answered {
  readonly status: 200 | 202 | 400;
  readonly body: string;
}

async function answerTo(req: IncomingMessage, id: string, parts: McpRouteParts): Promise<Answered> {
  const dialect = dialectOf(req.headers);
  const version = unknownVersion(req.headers);
  if (version !== null) return refused(new RpcFailure(RPC.failed, `unsupported protocol version: ${version}`));
  let call: RpcCall;
  try {
    call = readCall(await bodyOf(req));
  } catch (error) {
    if (error instanceof RpcFailure) return refused(error);
    throw error;
  }
  // What asks for nothing gets nothing: notifications, and answers to what we never asked.
  if (dialect === 'streamable' && (call.id === null || call.method === '')) return { status: 202, body: '' };
  return { status: 200, body: await outcomeOf(call, id, parts) };
}

const refused = (failure: RpcFailure): Answered => ({ status: 400, body: errorText(null, failure) });

/** @throws RpcFailure for a body that is too much, too slow or broken off */
async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  try {
    return await readBody(req);
  } catch (error) {
    if (error instanceof BodyError) throw parseError(`the body could not be read: ${error.reason}`);
    throw error;
  }
}

async function outcomeOf({ id: rpcId, method, params }: RpcCall, id: string, parts: McpRouteParts): Promise<string> {
  const { tools, toUser, log } = parts;
  try {
    switch (method) {
      case 'initialize':
        return resultText(rpcId, initialized(params));
      case 'notifications/initialized':
        return nothingText(rpcId);
      case 'ping':
        return resultText(rpcId, {});
      case 'tools/list':
        return resultText(rpcId, { tools: listedTools({ toUser }) });
      case 'tools/call':
        return resultText(rpcId, { content: [{ type: 'text', text: await tools.call(id, params) }] });
      default:
        throw new RpcFailure(RPC.methodNotFound, `method not found: ${method.slice(0, MAX_METHOD)}`);
    }
  } catch (error) {
    return errorText(rpcId, asFailure(error, log));
  }
}

const MAX_METHOD = 200;

/** What went wrong, as far as the caller is told. */
function asFailure(error: unknown, log: Log): RpcFailure {
  if (error instanceof RpcFailure) return error;
  if (error instanceof Refusal) return new RpcFailure(RPC.failed, error.message);
  if (isUnavailable(error)) {
    log.warn({ err: error }, 'a tool met a dependency that is not there');
    return new RpcFailure(RPC.failed, platformUnavailable().message);
  }
  log.error({ err: error }, 'a tool failed');
  return new RpcFailure(RPC.internal, 'internal error');
}

function write(res: ServerResponse, { headers }: Admitted, { status, body }: Answered): void {
  if (res.headersSent || res.destroyed) return;
  const type = body === '' ? {} : { 'content-type': JSON_TYPE };
  res.writeHead(status, { ...headers, ...type, 'content-length': Buffer.byteLength(body) }).end(body);
}

/** Whether who was let in then would be let in now, as far as tokens and workspaces end. */
function stillOpens(directory: McpRouteParts['directory'], { identity }: Principal, id: string): boolean {
  const entry = directory.get(id);
  if (entry?.status === 'removed') return false;
  if (identity.kind === 'org') return directory.hasAccess(identity.tokenId);
  return identity.kind !== 'workspace' || entry?.tokens.some(({ tokenId }) => tokenId === identity.tokenId) === true;
}
