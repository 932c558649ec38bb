/**
 * `POST /registry/heartbeat` (spec 1 §3.3): the route that is asked for most. It touches memory and the bus, no disk and no other
 * service (D6): parse, check the token, publish, answer.
 *
 *   H1. An answer of 200 to a known, not removed workspace means that its beat was handed to the bus.
 *   H2. While tokens are not known for sure, or there is no bus, the answer is 503: the runtime beats again (I9).
 *   H3. A beat of an unknown or removed workspace is answered and goes nowhere (I5).
 */
import { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import { type DirectoryEntry, HeartbeatBody, platformUnavailable, Refusal } from '@molecule/contracts';
import { BodyError, type Listener, parseBody, readBody } from '@molecule/http';
import type { EdgeMetrics } from './metrics.ts';
import { judgeRegistryToken, type RegistryVerdict, type TokenBook } from './principal.ts';
import { API_SECURITY_HEADERS } from './security-headers.ts';

export const HEARTBEAT_PATH = '/registry/heartbeat';

/** A beat is a few hundred bytes. */
const MAX_BYTES = 64 * 1024;
/** Seconds after which a runtime may try again. */
const RETRY_AFTER = '2';

export interface HeartbeatParts {
  readonly directory: TokenBook & {
    get(workspaceId: string): Pick<DirectoryEntry, 'workspaceId' | 'status'> | undefined;
    liveTokens(workspaceId: string): number;
  };
  readonly bus: { readonly connected: boolean };
  readonly beats: { publish(body: HeartbeatBody): void };
  readonly metrics: EdgeMetrics;
  /** Answers what is neither 200 nor foreseen: a refusal or a defect. */
  readonly fail: (response: ServerResponse, error: unknown) => void;
}

export function heartbeatListener({ directory, bus, beats, metrics, fail }: HeartbeatParts): Listener {
  const accepted = metrics.tally('POST', HEARTBEAT_PATH, 200);

  /** Publishes the beat, or says why not. */
  const take = (raw: Buffer, authorization: string | undefined): Refusal | null => {
    const body = parseBody(HeartbeatBody, raw);
    if (!body.ok) return invalidBody();
    if (!directory.ready || !bus.connected) return unavailable(); // H2
    const id = body.value.workspace_id;
    const entry = directory.get(id) ?? directory.get(id.toLowerCase());
    if (entry === undefined || entry.status === 'removed') return null; // H3
    const verdict = judgeRegistryToken(directory, entry.workspaceId, authorization);
    if (verdict !== 'allowed') return refusalOf(verdict);
    body.value.workspace_id = entry.workspaceId;
    beats.publish(body.value); // H1
    return null;
  };

  const refuse = (response: ServerResponse, error: unknown, started: number): void => {
    fail(response, error);
    metrics.answered('POST', HEARTBEAT_PATH, response.statusCode, (performance.now() - started) / 1000);
  };

  return function heartbeat(request, response) {
    const started = performance.now();
    readBody(request, { maxBytes: MAX_BYTES })
      .then((raw) => {
        const refusal = take(raw, request.headers.authorization);
        if (refusal === null) {
          response.writeHead(200, OK_HEADERS as string[]).end(OK);
          accepted.count((performance.now() - started) / 1000);
        } else refuse(response, refusal, started);
      })
      .catch((error: unknown) => {
        if (!(error instanceof BodyError)) refuse(response, error, started);
        else if (error.reason !== 'aborted') {
          // What was not read is not waited for.
          response.shouldKeepAlive = false;
          refuse(response, invalidBody(), started);
        }
      });
  };
}

const OK = Buffer.from('{"status":"ok"}');
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

const refusalOf = (verdict: Exclude<RegistryVerdict, 'allowed'>): Refusal =>
  new Refusal('unauthenticated', `${verdict} workspace auth token`);
