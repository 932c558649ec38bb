/**
 * Delivers what waits in the mailboxes (spec 2 §2.3).
 *
 *   D1. It is looked for messages when a beat reports room, when a call to the workspace was answered, when the agent registered,
 *       and, in case all of these were missed, now and then.
 *   D2. Per workspace one at a time is taken out in this process; between replicas the log's versions decide who takes it.
 *   D3. What is taken out is the first by priority, then arrival; what found the agent busy again is the first once more.
 *   D4. After a setback nobody asks again at once: only a beat, an answer, or a growing pause brings the next try.
 *   D5. An attempt ends in the log before the next one begins; while the database is away it is said again and again.
 *   D6. Who takes a message out holds a lease, from before the claim until the agent has answered; when it ends, the call is cut
 *       off and its end left to whoever takes over. Else two replicas could have the same message at the agent at once.
 *   D7. Mailboxes are looked into in turn: one that has something new to deliver goes to the end of those that wait for their turn.
 */
import { isUnavailable } from '@molecule/event-store';
import { backoff, sleep } from '@molecule/service';
import { answeredRow } from '../activity/row.ts';
import type { Admissions } from '../call/admission.ts';
import { answers, reasonPhrase } from '../call/answer.ts';
import { type Caller, limitOf } from '../call/caller.ts';
import { errorOf, readReply, toolTraceOf } from '../call/classify.ts';
import { type Sent, send } from '../call/sender.ts';
import type { Streams } from '../call/stream.ts';
import { a2aResponse } from '../call/told.ts';
import type { Lease } from '../lease.ts';
import type { Lineages } from '../lineage/lineages.ts';
import { type Attempt, claim, settle } from '../message/decisions.ts';
import { messages } from '../message/message.ts';
import { nextWaiting, type WaitingMessage } from '../message/projections/mailbox.ts';
import type { Parts } from '../parts.ts';
import { usageOf } from '../usage/usage.ts';
import { release, tracedBy } from './enqueue.ts';
import type { KeptReply } from './items.ts';
import { keptReply } from './kept.ts';
import { hasRoom, isReachable } from './room.ts';
import type { Box, Prompt, Waiting } from './waiting.ts';
import type { Tried } from './waits.ts';

export interface DrainParts extends Parts {
  readonly admissions: Admissions;
  readonly waiting: Waiting;
  readonly streams: Streams;
  readonly lineages: Lineages;
  /** For how long the others know this process to be alive; what it holds after that may be taken over. */
  readonly lease: () => Lease;
  readonly reportDead: (workspaceId: WaitingMessage['workspaceId'], detail: string) => void;
  /** Drops what waits for a removed workspace. */
  readonly dropAll: (workspaceId: string) => Promise<unknown>;
  /** An attempt has ended, in the log too. */
  readonly onTried?: (tried: Tried) => void;
}

interface Claimed {
  readonly attempt: number;
  readonly dispatchedAt: Date;
  readonly lease: Lease;
}

/** How an attempt went, and what the agent said if it took the message. */
interface Attempted {
  readonly result: Attempt;
  readonly reply?: KeptReply | undefined;
}

/** How many mailboxes are looked into at once. */
const MAX_LOOKING = 16;
/** What began within this many ms a beat may not know of. */
const LATELY_MS = 5_000;
/** D4, when the agent was busy again or answered with an error; and when it was not there at all, as often as it would beat. */
const pauseMs = backoff({ firstMs: 1_000, lastMs: 30_000 });
const UNREACHABLE_PAUSE_MS = 30_000;
const retryMs = backoff({ firstMs: 100, lastMs: 2_000 });

export class Drains {
  readonly #parts: DrainParts;
  /** Boxes whose turn it is to be looked into; a box stands here once. */
  readonly #turns = new Map<Box, Prompt>();
  #looking = 0;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** D1. Costs a look-up when nothing waits. */
  nudge(workspaceId: string, prompt: Prompt): void {
    const box = this.#parts.waiting.get(workspaceId);
    if (!box || this.#stopping.signal.aborted) return;
    if (prompt === 'beat') box.beaten = true;
    this.#nudge(box, prompt);
  }

  /** Whatever waits, as far as it is known here. */
  nudgeAll(): void {
    for (const workspaceId of this.#parts.waiting.workspaces()) this.nudge(workspaceId, 'unprompted');
  }

  /** The messages this process is delivering. */
  isRunning(messageId: string): boolean {
    return this.#running.has(messageId);
  }

  get running(): number {
    return this.#running.size;
  }

  /** Takes nothing more out. Those that run go on; `settled` tells when they have ended. */
  stop(): void {
    this.#stopping.abort();
    this.#turns.clear();
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0 || this.#looking > 0) {
      await Promise.allSettled(this.#running.values());
      if (this.#looking > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #nudge(box: Box, prompt: Prompt): void {
    if (box.draining) {
      box.again = stronger(box.again, prompt);
      return;
    }
    this.#turns.set(box, stronger(this.#turns.get(box) ?? null, prompt));
    this.#takeTurns();
  }

  #takeTurns(): void {
    for (const [box, prompt] of this.#turns) {
      if (this.#looking >= MAX_LOOKING) return;
      this.#turns.delete(box);
      this.#looking++;
      box.draining = true; // D2
      void this.#look(box, prompt);
    }
  }

  /** Takes out as many as there is room for. Never rejects. */
  async #look(box: Box, prompt: Prompt): Promise<void> {
    try {
      box.again = null;
      box.held = false;
      let go = true;
      while (go && !box.held && !this.#stopping.signal.aborted) go = await this.#takeOne(box, prompt);
    } catch (error) {
      const level = isUnavailable(error) ? 'warn' : 'error';
      this.#parts.log[level]({ err: error, workspaceId: box.workspaceId }, 'a mailbox could not be looked into');
      this.#pause(box, pauseMs(++box.setbacks));
    } finally {
      box.draining = false;
      this.#looking--;
      const missed = box.again; // D7
      if (missed !== null && this.#parts.waiting.get(box.workspaceId) === box) this.nudge(box.workspaceId, missed);
      this.#takeTurns();
    }
  }

  /** `false`: no room, nothing waits, or not now. */
  async #takeOne(box: Box, prompt: Prompt): Promise<boolean> {
    const { ledger, directory, waiting, worker, newId } = this.#parts;
    const { workspaceId } = box;
    const lease = this.#parts.lease(); // D6
    const entry = directory.get(workspaceId);
    if (entry?.status === 'removed') {
      await this.#parts.dropAll(workspaceId);
      return false;
    }
    if (!entry || !isReachable(entry, prompt) || !lease.holds()) return false;
    if (!this.#mayHaveRoom(box, entry.maxConcurrentTasks, prompt)) return false;

    const { next, claimed, claimedLately } = await nextWaiting(ledger.db, workspaceId);
    if (box.held) return false; // D4: what is back in the mailbox is not for this look
    if (!next) {
      // W1: unless something came in while we looked.
      if (box.again === null) waiting.remove(workspaceId);
      return false;
    }
    if (!hasRoom(entry.maxConcurrentTasks, prompt, { ...this.#direct(workspaceId), claimed, claimedLately })) return false;

    const envelope = {
      messageId: next.messageId,
      workspaceId: next.workspaceId,
      callerId: next.callerId,
      source: next.source,
      method: next.method,
      ...(next.lineage && { lineage: next.lineage }),
    };
    const { facts } = await ledger.transact(
      messages,
      { id: next.messageId, commandId: `claim-${newId()}`, ...tracedBy(next) },
      claim(envelope, worker),
    );
    const [fact] = facts;
    // Another replica was quicker: see what is next.
    if (fact?.type !== 'a2a.dispatched') return true;
    clearTimeout(box.timer);
    box.beaten = false;
    const run = this.#deliver(box, next, { attempt: fact.data.attempt, dispatchedAt: new Date(fact.recordedAt), lease }).finally(
      () => this.#running.delete(next.messageId),
    );
    this.#running.set(next.messageId, run);
    return true;
  }

  #mayHaveRoom(box: Box, maxConcurrentTasks: number, prompt: Prompt): boolean {
    return hasRoom(maxConcurrentTasks, prompt, { ...this.#direct(box.workspaceId), claimed: 0, claimedLately: 0 });
  }

  #direct(workspaceId: string) {
    const { targets, capabilities, clock } = this.#parts;
    const target = targets.get(workspaceId);
    return {
      direct: target?.direct ?? 0,
      directLately: target !== undefined && target.direct > 0 && clock.monotonicMs() - target.lastDispatchMs < LATELY_MS,
      activeTasks: capabilities.activeTasks(workspaceId),
    };
  }

  /** One attempt, from the claim to its end in the log. Never rejects. */
  async #deliver(box: Box, message: WaitingMessage, { attempt, dispatchedAt, lease }: Claimed): Promise<void> {
    const { log } = this.#parts;
    let result: Attempt;
    let reached = false;
    let reply: KeptReply | undefined;
    try {
      ({ result, reached, reply } = await this.#attempt(message, lease));
    } catch (error) {
      log.error({ err: error, messageId: message.messageId }, 'an attempt to deliver failed');
      result = { outcome: 'error', error: 'unknown drain dispatch error' };
    }
    if (result.outcome !== 'delivered' && result.outcome !== 'removed') box.held = true; // D4, before anybody can take it out again
    if (result.outcome === 'interrupted' && !lease.holds()) {
      log.warn({ messageId: message.messageId }, 'a delivery was cut off: the lease has run out');
      return; // D6
    }
    if (!(await this.#settle(message, attempt, { result, reply }))) return;
    this.#parts.onTried?.({ message, dispatchedAt, attempt, outcome: result.outcome });
    if (result.outcome === 'delivered' || result.outcome === 'removed') {
      box.setbacks = 0;
      this.nudge(box.workspaceId, 'answered'); // a slot is free
    } else if (result.outcome !== 'interrupted') {
      const now = this.#parts.waiting.add(box.workspaceId);
      now.setbacks = Math.max(now.setbacks, box.setbacks) + 1;
      // D4. A beat that came during the attempt found no room, and is heeded now.
      if (now.beaten) this.nudge(box.workspaceId, 'beat');
      else this.#pause(now, reached ? pauseMs(now.setbacks) : UNREACHABLE_PAUSE_MS);
    }
  }

  #pause(box: Box, ms: number): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(box.timer);
    box.timer = setTimeout(() => this.nudge(box.workspaceId, 'unprompted'), ms);
    box.timer.unref();
  }

  /** D5. `false`: it was not ours any more, or we are stopping. */
  async #settle(message: WaitingMessage, attempt: number, { result, reply }: Attempted): Promise<boolean> {
    const { ledger, worker, newId, log } = this.#parts;
    const decision = settle(message, { worker, attempt, result });
    const commandId = `settle-${newId()}`;
    const ends = result.outcome !== 'busy' && result.outcome !== 'interrupted';
    for (let failures = 1; ; failures++) {
      try {
        const { facts } = await ledger.transact(
          messages,
          { id: message.messageId, commandId, ...tracedBy(message) },
          decision,
          async (tx, { facts: stored }) => {
            if (ends && stored.every(({ type }) => type !== 'a2a.requeued')) await release(tx, message.messageId, reply);
          },
        );
        if (facts.length === 0) log.warn({ messageId: message.messageId }, 'a message had been taken over by another worker');
        return facts.length > 0;
      } catch (error) {
        if (failures === 1)
          log.warn({ err: error, messageId: message.messageId }, 'the end of an attempt waits for the database');
        if (failures > 3 && this.#stopping.signal.aborted) return false; // the next process takes it over
        await sleep(retryMs(failures), new AbortController().signal);
      }
    }
  }

  /** The whole path again, with the stored caller and body. `reached`: the agent answered, or is there and busy. */
  async #attempt(message: WaitingMessage, lease: Lease): Promise<Attempted & { reached: boolean }> {
    const { admissions, streams, reportDead } = this.#parts;
    const caller: Caller = { source: message.source, id: message.callerId, name: message.callerId ?? '' };
    const admission = await admissions.admit(caller, message.workspaceId);
    if ('answer' in admission) {
      // What could not be looked up says nothing about the message.
      if (admission.answer === answers.unavailable || admission.answer === answers.lookupFailed)
        return { result: { outcome: 'busy' }, reached: true };
      // It fell asleep while we looked, and wakes now: nothing was tried.
      if (admission.answer === answers.waking) return { result: { outcome: 'busy' }, reached: false };
      if (admission.entry?.status === 'removed') return { result: { outcome: 'removed' }, reached: false };
      return { result: failed(admission.answer.error), reached: false };
    }
    const { entry, endpoint } = admission;
    const leave = this.#parts.lineages.enter(message);
    const sent = await send(this.#parts, {
      entry,
      endpoint,
      body: message.body,
      headers: message.headers,
      events: streams.toNobody(message.method),
      limitMs: limitOf(caller, ''),
      direct: false,
      lease,
    }).finally(leave);
    switch (sent.kind) {
      case 'reply':
        return {
          result: this.#replied(message, entry.name || entry.workspaceId, sent),
          reached: true,
          ...(sent.status < 300 && { reply: keptReply(sent.body, sent.whole) }),
        };
      case 'broken':
        // Its status says that it arrived: sending it again would double it (spec 2 §8.2).
        if (sent.status < 300) return { result: { outcome: 'delivered', httpStatus: sent.status }, reached: true };
        return { result: failed('failed to read agent response'), reached: true };
      case 'busy':
        return { result: sent.native ? failed(answers.nativeSession.error) : { outcome: 'busy' }, reached: true };
      case 'stopped':
        return { result: { outcome: 'interrupted' }, reached: false };
      case 'dead':
        reportDead(message.workspaceId, sent.detail);
        return { result: failed(answers.restarting.error), reached: false };
      case 'unreachable':
        return { result: failed(answers.unreachable.error), reached: false };
      case 'unsafe':
        return { result: failed(answers.notCreated.error), reached: false };
    }
  }

  /** What the canvas sent it still wants to see (spec README, choice 5); others asked for no row. */
  #replied(
    message: WaitingMessage,
    name: string,
    { status, body, whole, headersAfterMs }: Extract<Sent, { kind: 'reply' }>,
  ): Attempt {
    const { recorder, clock, newId, say, instants } = this.#parts;
    const reply = readReply(body, whole);
    const usage = usageOf(reply.json);
    if (usage) recorder.used(message.workspaceId, usage);
    if (message.callerId === null) {
      const at = clock.now();
      const { method, workspaceId } = message;
      recorder.row(
        answeredRow(
          {
            id: newId(),
            envelope: message,
            name,
            request: message.body,
            durationMs: headersAfterMs,
            createdUs: instants.nowUs(),
          },
          { response: reply.isJson ? reply.text : 'null', toolTrace: toolTraceOf(reply.json), upstreamStatus: status },
        ),
      );
      if (status < 400) say(a2aResponse(workspaceId, reply, { method, durationMs: headersAfterMs, at }));
    }
    if (status < 300) return { outcome: 'delivered', httpStatus: status };
    return failed(errorOf(body, whole, reasonPhrase(status)));
  }
}

const failed = (error: string | null): Attempt => ({
  outcome: 'error',
  error: (error || 'unknown drain dispatch error').slice(0, 500).toWellFormed().replaceAll('\0', ''),
});

const STRENGTH: Readonly<Record<Prompt, number>> = { unprompted: 0, answered: 1, registered: 2, beat: 3 };
const stronger = (a: Prompt | null, b: Prompt): Prompt => (a !== null && STRENGTH[a] >= STRENGTH[b] ? a : b);
