/**
 * `POST /registry/heartbeat` (spec 1 §3.3): the route that is asked for most. It touches memory and the bus, no disk and no other
 * service (D6): parse, check the token, publish, answer.
 *
 *   H1. An answer of 200 to a known, not removed workspace means that its beat was handed to the bus.
 *   H2. While tokens are not known for sure, or there is no bus, the answer is 503: the runtime beats again (I9).
 *   H3. A beat of an unknown or removed workspace is answered and goes nowhere (I5).
 *   H4. Beats that come in within one turn of the event loop leave in one piece, in their order: what costs is the flush, not the
 *       message (limits, "fewer, larger flushes"). `flush` sends them at once, for a request that must not overtake them.
 */
import type { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DirectoryEntry, HeartbeatBody, platformUnavailable, Refusal } from '@molecule/contracts';
import { BodyError, parseBody, type RouteDoc, readBody } from '@molecule/http';
import type { Admission } from '@molecule/service';
import { z } from 'zod';
import { limitHeaders, setLimitHeaders } from './limits/rate-limit.ts';
import type { EdgeMetrics } from './metrics.ts';
import { judgeRegistryToken, type RegistryVerdict, type TokenBook } from './principal.ts';
import type { Refused } from './reports/denials.ts';
import { API_SECURITY_HEADERS, setSecurityHeaders } from './security-headers.ts';

export const HEARTBEAT_PATH = '/registry/heartbeat';

export const heartbeatDoc: RouteDoc = {
  summary: 'Say that an agent is there, and how it is',
  description:
    'A beat of an unknown or removed workspace is answered and goes nowhere. A beat with `runtime_metadata` replaces what the runtime declared; one without it says nothing of that.',
  source: 'spec 1 §3.3',
  body: HeartbeatBody,
  answers: { 200: { description: 'Accepted.', body: z.object({ status: z.literal('ok') }) } },
  refusals: [['invalid', 'invalid request body']],
};

/** A beat is a few hundred bytes. */
const MAX_BYTES = 64 * 1024;
/** Seconds after which a runtime may try again. */
const RETRY_AFTER = '2';

export interface HeartbeatParts {
  readonly directory: Pick<TokenBook, 'ready' | 'workspaceOfToken'> & {
    get(workspaceId: string): Pick<DirectoryEntry, 'workspaceId' | 'status'> | undefined;
    liveTokens(workspaceId: string): number;
  };
  readonly bus: { readonly connected: boolean };
  readonly beats: { publish(body: HeartbeatBody): void };
  readonly metrics: EdgeMetrics;
  /** A token let a beat in. */
  readonly opened: (tokenId: string) => void;
  readonly denied: (refused: Refused) => void;
  /** Why the one who shows this credential, which is not the workspace's, is not even told so. */
  readonly guessed: (peer: string, request: IncomingMessage) => Refusal | null;
  /** Production: also a workspace that has no live token may not beat without one. */
  readonly everyoneNeedsToken: boolean;
  /** Answers what is neither 200 nor foreseen: a refusal or a defect. */
  readonly fail: (response: ServerResponse, error: unknown) => void;
}

/** Whom a beat came from, and what is left of that one's requests. */
export interface Arrival {
  readonly peer: string;
  readonly admission: Admission | null;
}

export interface HeartbeatBridge {
  beat(request: IncomingMessage, response: ServerResponse, arrival: Arrival): void;
  /** Hands over to the bus what was accepted so far. */
  flush(): void;
}

interface Accepted {
  /** `null`: there is nothing to publish (H3). */
  readonly beat: HeartbeatBody | null;
  readonly response: ServerResponse;
  readonly admission: Admission | null;
  readonly started: number;
}

/** Not this workspace's token. */
class Denied extends Error {
  readonly verdict: Exclude<RegistryVerdict, 'allowed'>;

  constructor(verdict: Exclude<RegistryVerdict, 'allowed'>) {
    super(`${verdict} workspace auth token`);
    this.verdict = verdict;
  }
}

export function heartbeatBridge(parts: HeartbeatParts): HeartbeatBridge {
  const { directory, bus, beats, metrics, everyoneNeedsToken, opened, denied, guessed, fail } = parts;
  const rules = { everyoneNeedsToken, opened };
  const ok = metrics.tally('POST', HEARTBEAT_PATH, 200);
  let accepted: Accepted[] = [];

  /** The beat to publish, or `null` for none. @throws Refusal, Denied */
  const judge = (raw: Buffer, authorization: string | undefined): HeartbeatBody | null => {
    const body = parseBody(HeartbeatBody, raw);
    if (!body.ok) throw invalidBody();
    if (!directory.ready || !bus.connected) throw unavailable(); // H2
    const id = body.value.workspace_id;
    const entry = directory.get(id) ?? directory.get(id.toLowerCase());
    if (entry === undefined || entry.status === 'removed') return null; // H3
    const verdict = judgeRegistryToken(directory, entry.workspaceId, authorization, rules);
    if (verdict !== 'allowed') throw new Denied(verdict);
    body.value.workspace_id = entry.workspaceId;
    return body.value;
  };

  const flush = (): void => {
    if (accepted.length === 0) return;
    const leaving = accepted;
    accepted = [];
    for (const { beat, response, admission, started } of leaving) {
      try {
        if (beat !== null) beats.publish(beat); // H1
        response.writeHead(200, OK_HEADERS.concat(limitHeaders(admission))).end(OK);
        ok.count((performance.now() - started) / 1000);
      } catch (error) {
        refuse(response, error, { admission, started });
      }
    }
  };

  const refuse = (
    response: ServerResponse,
    error: unknown,
    { admission, started }: Pick<Accepted, 'admission' | 'started'>,
  ): void => {
    setLimitHeaders(response, admission);
    setSecurityHeaders(response, HEARTBEAT_PATH);
    fail(response, error);
    metrics.answered('POST', HEARTBEAT_PATH, response.statusCode, (performance.now() - started) / 1000);
  };

  /** What is said to somebody without the workspace's token. */
  const denial = ({ verdict, message }: Denied, request: IncomingMessage, peer: string): Refusal => {
    const lockedOut = verdict === 'invalid' ? guessed(peer, request) : null;
    denied({ reason: lockedOut === null ? verdict : 'locked-out', method: 'POST', path: HEARTBEAT_PATH, peer });
    return lockedOut ?? new Refusal('unauthenticated', message);
  };

  return {
    beat(request, response, { peer, admission }) {
      const started = performance.now();
      readBody(request, { maxBytes: MAX_BYTES })
        .then((raw) => {
          const beat = judge(raw, request.headers.authorization);
          if (accepted.push({ beat, response, admission, started }) === 1) setImmediate(flush); // H4
        })
        .catch((error: unknown) => {
          if (error instanceof Denied) refuse(response, denial(error, request, peer), { admission, started });
          else if (!(error instanceof BodyError)) refuse(response, error, { admission, started });
          else if (error.reason !== 'aborted') {
            // What was not read is not waited for.
            response.shouldKeepAlive = false;
            refuse(response, invalidBody(), { admission, started });
          }
        });
    },
    flush,
  };
}

/** Text, not bytes: node then writes head and body in one piece. */
const OK = '{"status":"ok"}';
const OK_HEADERS: readonly string[] = [
  'Content-Type',
  'application/json; charset=utf-8',
  'Content-Length',
  String(OK.length),
  ...API_SECURITY_HEADERS,
];

const invalidBody = () => new Refusal('invalid', 'invalid request body');

const unavailable = (): Refusal => {
  const { kind, message, body } = platformUnavailable();
  return new Refusal(kind, message, { body, headers: { 'Retry-After': RETRY_AFTER } });
};
