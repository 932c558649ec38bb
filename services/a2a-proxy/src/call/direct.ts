/**
 * `POST /workspaces/:id/a2a` behind the door: the whole path of a direct call (spec 2 §1), detached from the client that waits.
 *
 *   K1. The client is answered as soon as it can be; what is written down about it comes after (spec 2 §8.10).
 *   K2. Whatever became of the call, it is recorded as ended once, or handed to the mailbox (I1).
 */
import type { WorkspaceId } from '@molecule/contracts';
import { type ActivityRow, answeredRow, failedRow, storable, type Written } from '../activity/row.ts';
import type { OpenCall } from '../lineage/lineage.ts';
import type { Lineages } from '../lineage/lineages.ts';
import type { Mailbox, Wish } from '../mailbox/enqueue.ts';
import type { Envelope } from '../message/decisions.ts';
import type { Parts } from '../parts.ts';
import type { Recording } from '../record/recorder.ts';
import { usageOf } from '../usage/usage.ts';
import type { Admissions } from './admission.ts';
import { type Answer, answers, reasonPhrase } from './answer.ts';
import type { Caller } from './caller.ts';
import { errorOf, type Reply, readReply, toolTraceOf } from './classify.ts';
import type { EventSink } from './dispatch.ts';
import { type Normalised, normalise } from './normalise.ts';
import type { Once } from './once.ts';
import { type Sent, send } from './sender.ts';
import { a2aResponse } from './told.ts';

/** Restart contexts write no rows (spec 2 §1.12). */
const UNLOGGED = 'system:restart-context';
/** How long a busy call waits for its own record to be written, before it may be queued. */
const WITHDRAW_MS = 2_000;
const MAX_METHOD = 256;
/** What is left of a reply that broke off. */
const UNREAD: Reply = { text: '', json: undefined, isJson: false };

export interface DirectCall extends Wish {
  readonly caller: Caller;
  readonly target: string;
  readonly body: Buffer;
  /** Where the events go that the caller asks for with this method, if it does. */
  readonly eventsTo?: (method: string) => EventSink | undefined;
  readonly limitMs: number;
  /** What led to it, if that was known before; `null`: nothing did. Else it is what is open at the caller now. */
  readonly origin?: OpenCall | null;
  /** Given by a service of ours that asks again rather than twice; else `null`. */
  readonly messageId: string | null;
  /** It is about to be sent; with a message id, the log says so. */
  readonly onBegun?: () => void;
}

export interface DirectParts extends Parts {
  readonly admissions: Admissions;
  readonly mailbox: Mailbox;
  readonly once: Once;
  readonly lineages: Lineages;
  /** A call to the workspace was answered: there may be room now. */
  readonly onAnswered: (workspaceId: string) => void;
  /** The agent's container is gone: tells the registry. */
  readonly reportDead: (workspaceId: WorkspaceId, detail: string) => void;
}

export class DirectCalls {
  readonly #parts: DirectParts;
  #active = 0;
  #onIdle: (() => void)[] = [];
  /** How calls went since the start, for the metrics. */
  readonly counts = { answered: 0, queued: 0, failed: 0, refused: 0 };

  constructor(parts: DirectParts) {
    this.#parts = parts;
  }

  get active(): number {
    return this.#active;
  }

  /** Resolves when no call is in flight. */
  settled(): Promise<void> {
    if (this.#active === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Answers through `respond`, exactly once, unless it throws before. Who takes a stream has its answer there already. */
  async handle(call: DirectCall, respond: (answer: Answer) => void): Promise<void> {
    this.#active++;
    try {
      await this.#handle(call, respond);
    } finally {
      if (--this.#active === 0) for (const tell of this.#onIdle.splice(0)) tell();
    }
  }

  async #handle(call: DirectCall, respond: (answer: Answer) => void): Promise<void> {
    const { admissions, recorder, newId } = this.#parts;
    if (recorder.isFull) return this.#refuse(answers.unavailable, respond);
    const admission = await admissions.admit(call.caller, call.target);
    if ('answer' in admission) return this.#refuse(admission.answer, respond);
    if (this.#isGone(call.caller)) return this.#refuse(answers.accessDenied, respond);
    const request = normalise(call.body, newId);
    if (request === null) return this.#refuse(answers.invalidJson, respond);

    const { entry, endpoint } = admission;
    const messageId = (call.messageId ?? newId()) as Envelope['messageId'];
    const callerId = call.caller.id;
    const targetId = entry.workspaceId;
    const led = callerId === null ? null : await this.#parts.lineages.judge({ messageId, callerId, targetId }, call.origin);
    if (led && 'answer' in led) return this.#refuse(led.answer, respond);
    const envelope: Envelope = {
      messageId,
      workspaceId: targetId,
      callerId,
      source: call.caller.source,
      method: storable(request.method).slice(0, MAX_METHOD),
      ...led,
    };
    const before = call.messageId === null ? null : await this.#parts.once.begin(envelope);
    if (before) return this.#refuse(before, respond);
    call.onBegun?.();

    const recording = recorder.begin(envelope, { durable: call.messageId !== null });
    const { headers, limitMs } = call;
    const leave = this.#parts.lineages.enter(envelope);
    const sent = await send(this.#parts, {
      entry,
      endpoint,
      body: request.bytes ?? request.text,
      headers,
      events: call.eventsTo?.(request.method),
      limitMs,
      direct: true,
    }).finally(leave);
    const exchange = { call, request, envelope, recording, name: entry.name || entry.workspaceId };
    try {
      await this.#conclude(exchange, sent, respond);
    } catch (error) {
      this.#unreached(exchange, 500, 'failed', null);
      throw error;
    } finally {
      if (call.messageId !== null) this.#parts.once.ended(call.messageId);
      if (sent.kind === 'reply' || sent.kind === 'broken') this.#parts.onAnswered(entry.workspaceId);
    }
  }

  /** Who is removed begins nothing any more, not even what was put off until now (I4); it has no token that could keep it out. */
  #isGone({ id }: Caller): boolean {
    return id !== null && this.#parts.directory.get(id)?.status === 'removed';
  }

  #refuse(answer: Answer, respond: (answer: Answer) => void): void {
    this.counts.refused++;
    respond(answer);
  }

  async #conclude(exchange: Concluding, sent: Sent, respond: (answer: Answer) => void): Promise<void> {
    const { envelope } = exchange;
    switch (sent.kind) {
      case 'reply':
        return this.#replied(exchange, sent, respond);
      case 'broken': {
        const delivered = sent.status >= 200 && sent.status < 400;
        respond(answers.unreadReply(delivered));
        if (!delivered) return this.#unreached(exchange, 502, 'response broken off', null);
        // Delivery was confirmed: this is no failed delivery (spec 2 §8.3).
        const row = this.#success(exchange, UNREAD, sent.status, sent.headersAfterMs);
        if (envelope.callerId !== null) this.#parts.recorder.outbound(envelope.callerId, this.#parts.instants.nowUs());
        return this.#answered(exchange, sent.status, sent.headersAfterMs, row);
      }
      case 'stopped':
        respond(answers.interrupted);
        return this.#unreached(exchange, 502, 'interrupted', null);
      case 'unsafe':
        respond(answers.notCreated);
        return this.#unreached(exchange, 500, 'address refused', null);
      case 'dead':
        this.#parts.reportDead(envelope.workspaceId, sent.detail);
        respond(answers.restarting);
        return this.#unreached(exchange, 503, sent.detail, this.#failure(exchange, sent));
      case 'unreachable':
        respond(answers.unreachable);
        return this.#unreached(exchange, 502, sent.detail, this.#failure(exchange, sent));
      case 'busy':
        if (!sent.native) return this.#queue(exchange, sent, respond);
        respond(answers.nativeSession);
        return this.#unreached(exchange, 503, sent.detail, this.#failure(exchange, sent));
    }
  }

  #replied(exchange: Concluding, sent: Extract<Sent, { kind: 'reply' }>, respond: (answer: Answer) => void): void {
    const { status, body, whole, headersAfterMs } = sent;
    if (status < 300) respond({ status, body, error: null });
    else respond(answers.upstreamError(status, errorOf(body, whole, reasonPhrase(status))));

    // K1: from here on nobody waits.
    const { call, envelope } = exchange;
    const reply = readReply(body, whole);
    const row = this.#success(exchange, reply, status, headersAfterMs);
    this.#answered(exchange, status, headersAfterMs, row);
    const usage = usageOf(reply.json);
    if (usage) this.#parts.recorder.used(envelope.workspaceId, usage);
    if (status >= 400) return;
    if (call.caller.name === '')
      this.#parts.say(
        a2aResponse(envelope.workspaceId, reply, {
          method: envelope.method,
          durationMs: headersAfterMs,
          at: this.#parts.clock.now(),
        }),
      );
    if (envelope.callerId !== null) this.#parts.recorder.outbound(envelope.callerId, this.#parts.instants.nowUs());
  }

  /** A busy agent's message goes to the mailbox; if that cannot be, the sender must come back. */
  async #queue(exchange: Concluding, sent: Extract<Sent, { kind: 'busy' }>, respond: (answer: Answer) => void): Promise<void> {
    const { recorder, mailbox } = this.#parts;
    const { recording, envelope, request, call } = exchange;
    const row = this.#failure(exchange, sent);
    // A system sender has no workspace that a queued message could come from (spec 2 §2.2).
    if (envelope.source === 'system' || !(await recorder.withdraw(recording, WITHDRAW_MS))) {
      respond(answers.busy);
      return this.#unreached(exchange, 503, sent.detail, row);
    }
    const queued = await mailbox.enqueue(envelope, request, call);
    if (queued === null || 'limit' in queued) {
      const answer = queued === null ? answers.busy : answers.mailboxFull(queued.depth, queued.limit);
      respond(answer);
      return recorder.endWithdrawn(recording, unreached(envelope, answer.status, sent.detail), row);
    }
    this.counts.queued++;
    respond(answers.queued(envelope.workspaceId, queued.queueId, queued.depth));
    if (queued.queueId === envelope.messageId) {
      if (row) recorder.row(row);
    } else recorder.endWithdrawn(recording, unreached(envelope, 202, `already queued as ${queued.queueId}`), row);
  }

  #answered({ envelope, recording }: Concluding, httpStatus: number, durationMs: number, row: ActivityRow | null): void {
    this.counts.answered++;
    this.#parts.recorder.end(recording, { type: 'a2a.answered', data: { ...envelope, httpStatus, durationMs } }, row);
  }

  #unreached({ envelope, recording }: Concluding, httpStatus: number, error: string, row: ActivityRow | null): void {
    this.counts.failed++;
    this.#parts.recorder.end(recording, unreached(envelope, httpStatus, error), row);
  }

  #success(exchange: Concluding, reply: Reply, upstreamStatus: number, durationMs: number): ActivityRow | null {
    if (exchange.call.caller.name === UNLOGGED) return null;
    const response = reply.isJson ? reply.text : 'null';
    return answeredRow(this.#written(exchange, durationMs), { response, toolTrace: toolTraceOf(reply.json), upstreamStatus });
  }

  #failure(exchange: Concluding, { detail, afterMs }: { detail: string; afterMs: number }): ActivityRow | null {
    return exchange.call.caller.name === UNLOGGED ? null : failedRow(this.#written(exchange, afterMs), detail);
  }

  #written({ envelope, name, request }: Concluding, durationMs: number): Written {
    return { id: envelope.messageId, envelope, name, request: request.text, durationMs, createdUs: this.#parts.instants.nowUs() };
  }
}

interface Concluding {
  readonly call: DirectCall;
  readonly request: Normalised;
  readonly envelope: Envelope;
  readonly recording: Recording;
  readonly name: string;
}

const unreached = (envelope: Envelope, httpStatus: number, error: string) =>
  ({ type: 'a2a.unreached', data: { ...envelope, httpStatus, error } }) as const;
