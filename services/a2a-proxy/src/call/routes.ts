/** `POST /workspaces/:id/a2a`: a hot route, answered on node's own request and response (limits, trap 2). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isWorkspaceId, type RequestContext } from '@molecule/contracts';
import { endWith, type RawRoute } from '@molecule/http';
import { type Log, type Mode, readTraceparent } from '@molecule/service';
import { PRIORITIES, type Priority } from '../message/decisions.ts';
import { type Answer, answers } from './answer.ts';
import { canonical, identifyCaller, limitOf } from './caller.ts';
import type { DirectCalls } from './direct.ts';
import { passedHeaders } from './passed-headers.ts';
import { a2aDoc } from './route-doc.ts';
import type { Streams } from './stream.ts';

/** Spec 2 §1.1: what is beyond is cut silently. */
const MAX_BODY_BYTES = 1024 * 1024;

export interface A2aRouteParts {
  readonly calls: DirectCalls;
  readonly streams: Streams;
  readonly liveTokens: (workspaceId: string) => number;
  readonly mode: Mode;
  readonly log: Log;
  /** Nothing new is taken on: the service is stopping. */
  readonly isStopping: () => boolean;
}

export function a2aRoute({ calls, streams, liveTokens, mode, log, isStopping }: A2aRouteParts): RawRoute {
  return {
    method: 'POST',
    path: '/workspaces/:id/a2a',
    pattern: /^\/workspaces\/([^/]+)\/a2a$/,
    authClass: 'caller',
    doc: a2aDoc,
    handle(req, res, { params, context }) {
      if (isStopping()) return write(res, answers.unavailable);
      return readBody(req).then((body) => {
        if (body === null) return write(res, answers.unreadable);
        return answer(req, res, { target: canonical(params[0] ?? ''), context, body });
      });
    },
  };

  async function answer(
    req: IncomingMessage,
    res: ServerResponse,
    { target, context, body }: { target: string; context: RequestContext; body: Buffer },
  ): Promise<void> {
    const { principal } = context;
    const asked = identifyCaller({ header: canonical(header(req, 'x-workspace-id')), target, principal, mode, liveTokens });
    if ('answer' in asked) return write(res, asked.answer);
    const messageId = principal.identity.kind === 'service' ? header(req, 'x-molecule-message-id').toLowerCase() : '';
    if (messageId !== '' && !isWorkspaceId(messageId)) return write(res, answers.invalidMessageId);
    const priority = principal.identity.kind === 'service' ? priorityOf(header(req, 'x-molecule-priority')) : undefined;
    if (priority === null) return write(res, answers.invalidPriority);
    const { caller } = asked;
    const headers = passedHeaders(req.headers);
    const limitMs = limitOf(caller, header(req, 'x-timeout'));
    const eventsTo = streams.to(res, header(req, 'accept'));
    const traceparent = readTraceparent(header(req, 'traceparent'));
    const wish = { headers, traceparent, priority };
    const call = { caller, target, body, ...wish, eventsTo, limitMs, messageId: messageId || null };
    try {
      await calls.handle(call, (given) => write(res, given));
    } catch (error) {
      // Whoever has their answer already need not hear of this.
      if (!res.headersSent) throw error;
      log.error({ err: error, requestId: context.requestId }, 'what follows a call failed');
    }
  }
}

/** `undefined`: it asks for none; `null`: there is no such priority. */
const priorityOf = (text: string): Priority | null | undefined =>
  text === '' ? undefined : (Object.values(PRIORITIES).find((priority) => String(priority) === text) ?? null);

const header = (req: IncomingMessage, name: string): string => {
  const value = req.headers[name];
  return typeof value === 'string' ? value : '';
};

/** At most MAX_BODY_BYTES; the rest is let go by. `null`: the request broke off. */
function readBody(req: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let chunks: Buffer[] | null = [];
    let size = 0;
    const done = () => {
      if (!chunks) return;
      const [only] = chunks;
      resolve(chunks.length === 1 && only ? only : Buffer.concat(chunks, size));
      chunks = null;
    };
    req.on('data', (chunk: Buffer) => {
      if (!chunks) return;
      const room = MAX_BODY_BYTES - size;
      chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
      size += Math.min(chunk.length, room);
      if (chunk.length > room) done();
    });
    req.on('end', done);
    req.on('error', () => resolve(null));
    req.on('close', () => resolve(null));
  });
}

/** A client that is gone is not told; a reply passes byte for byte, whatever it is. */
function write(res: ServerResponse, { status, body, retryAfter, location }: Answer): void {
  if (res.headersSent || res.destroyed) return;
  const headers: Record<string, string | number> = {
    'content-type': typeof body === 'string' ? 'application/json; charset=utf-8' : 'application/json',
    'content-length': typeof body === 'string' ? Buffer.byteLength(body) : body.length,
  };
  if (retryAfter !== undefined) headers['retry-after'] = retryAfter;
  if (location !== undefined) headers['location'] = location;
  res.writeHead(status, headers);
  if (typeof body === 'string') res.end(body);
  else endWith(res, body);
}
