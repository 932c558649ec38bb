/**
 * Resolves what nobody carries out any more (spec 2 §3.2), and what came back from a mailbox (§2.4). One round is idempotent, and any
 * number of replicas may do it at once: the log decides.
 *
 *   V1. What nobody has begun is begun, oldest first and in turn between workspaces, as far as there is room.
 *   V2. What a dead process was about to send, and did not, is sent under the same message id. What was in flight fails: it is never
 *       sent again blindly.
 *   V3. What the log or the activity knows of the answer counts, although the process that waited for it is gone.
 *   V4. What came of a message in a mailbox is heard once, whichever replica sent it, also if it ended before the delegation was said
 *       to be queued.
 */
import type { MessageId } from '@molecule/contracts';
import { sql } from 'kysely';
import { answers, reasonPhrase } from '../call/answer.ts';
import { replyText } from '../call/classify.ts';
import type { DelegationStatus } from '../database.ts';
import type { OpenCall } from '../lineage/lineage.ts';
import { INTERRUPTED } from '../message/decisions.ts';
import { calls, type End } from '../message/message.ts';
import type { Parts } from '../parts.ts';
import type { DelegationBook } from './book.ts';
import { type About, abandon, MAX_CALLS } from './decisions.ts';
import type { Told } from './rows.ts';
import { type DelegationRunner, LIMIT_MS } from './runner.ts';

/** How many are looked into in a round; the next comes at once if there are more. */
const AT_ONCE = 20;
/** One of ours that does not run is taken for one whose answer was lost, after this long. */
const ORPHAN_SECONDS = 15;
/** Of more than these the end is heard in the next round, not at once. */
const MAX_AWAITED = 10_000;
const NO_TASK = 'the task is not kept any longer';

export interface RecoveryParts extends Pick<Parts, 'ledger' | 'worker' | 'log' | 'newId'> {
  readonly book: DelegationBook;
  readonly runner: DelegationRunner;
  /** L3. */
  readonly mayTakeOver: () => boolean;
}

interface Open extends About {
  readonly messageId: MessageId | null;
  readonly attempt: number;
  readonly worker: string | null;
  /** Of the first call. */
  readonly firstId: MessageId | null;
  /** JSON text. */
  readonly task: string | null;
  readonly origin: OpenCall | null;
  readonly ageMs: number;
}

const OPEN = sql`
  d.tracking_id as "trackingId", d.delegation_id as "delegationId", d.workspace_id as "workspaceId", d.target_id as "targetId",
  d.message_id as "messageId", d.attempt, d.worker, t.message_id as "firstId", t.task::text as task, t.origin,
  (extract(epoch from now() - d.sent_at) * 1000)::float8 as "ageMs"`;

export class DelegationRecovery {
  readonly #parts: RecoveryParts;
  /** Messages of mailboxes that delegations wait for, as far as this process knows. */
  #awaited: ReadonlySet<string> = new Set();
  /** Those that this process has queued since the last look. */
  #fresh = new Set<string>();
  /** How many nobody had begun at the last look, for the metrics. */
  pending = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  isAwaited(messageId: string): boolean {
    return this.#awaited.has(messageId) || this.#fresh.has(messageId);
  }

  await(messageId: string): void {
    this.#fresh.add(messageId);
  }

  /** `true`: there may be more to do at once. */
  async round(): Promise<boolean> {
    const more = await this.#hearMailboxes();
    for (const open of await this.#orphans()) await this.#resolve(open);
    await this.#beginPending();
    return more;
  }

  /** V1. */
  async #beginPending(): Promise<void> {
    const { ledger, runner, book, log } = this.#parts;
    const { rows } = await sql<Open & { pending: number }>`
      select ${OPEN}, d.pending from (
        select *, count(*) over ()::int as pending, row_number() over (partition by workspace_id order by sent_at) as turn
        from delegations where carried_out_by = 'platform' and status = 'pending'
      ) d left join delegation_tasks t using (tracking_id)
      order by d.turn, d.sent_at limit ${Math.max(1, runner.room)}
    `.execute(ledger.db);
    this.pending = rows[0]?.pending ?? 0;
    for (const open of rows) {
      if (runner.isRunning(open.trackingId)) continue;
      const about = aboutOf(open);
      if (open.task === null || open.firstId === null) {
        log.warn({ delegationId: open.delegationId }, 'a delegation whose task is gone is given up');
        await book.end(about, abandon(about, NO_TASK), { outcome: 'failed', error: NO_TASK });
      } else if (!runner.start({ about, task: JSON.parse(open.task), messageId: open.firstId, origin: open.origin })) return;
    }
  }

  /** Dispatched by a process that is dead, or by this one, which knows nothing of it. */
  async #orphans(): Promise<Open[]> {
    const { ledger, worker, runner, mayTakeOver } = this.#parts;
    const { rows } = await sql<Open>`
      select ${OPEN} from delegations d left join delegation_tasks t using (tracking_id)
      where d.carried_out_by = 'platform' and d.status = 'dispatched' and (
        (d.worker = ${worker} and d.changed_at < now() - ${ORPHAN_SECONDS} * interval '1 second')
        or (${mayTakeOver()} and d.worker <> ${worker}
          and not exists (select from workers where workers.worker = d.worker and workers.alive_until > now()))
      )
      order by d.sent_at limit ${AT_ONCE + runner.running}
    `.execute(ledger.db);
    return rows.filter(({ trackingId, worker: held }) => held !== worker || !runner.isRunning(trackingId)).slice(0, AT_ONCE);
  }

  /** V2, V3. */
  async #resolve(open: Open): Promise<void> {
    const { ledger, book, log } = this.#parts;
    if (open.messageId === null || open.worker === null) return;
    const about = aboutOf(open);
    const { state } = await ledger.load(calls, open.messageId);
    switch (state.status) {
      case 'absent':
        return this.#goOn(open, { messageId: open.messageId, attempt: open.attempt });
      case 'open':
        return; // until its process, or who takes over from that, has ended it
      case 'waiting':
      case 'claimed':
        await book.queue(about, open.messageId, open.worker);
        return;
      case 'ended': {
        if (this.#isToBeTriedAgain(open, state.end))
          return this.#goOn(open, { messageId: this.#parts.newId() as MessageId, attempt: open.attempt + 1 });
        if (isOfMailbox(state.end)) {
          await book.queue(about, open.messageId, open.worker); // V4 does the rest
          return;
        }
        const told = await this.#toldBy(open.messageId, state.end);
        if (await book.settle(about, told, { worker: open.worker, via: 'recovery' }))
          log.warn({ delegationId: open.delegationId, outcome: told.outcome }, 'a delegation was resolved whose process is gone');
      }
    }
  }

  /** Takes it over, and makes the call. */
  async #goOn(open: Open, call: { readonly messageId: MessageId; readonly attempt: number }): Promise<void> {
    const { book, runner, worker } = this.#parts;
    const about = aboutOf(open);
    const from = open.worker ?? worker;
    if (open.task === null) {
      await book.settle(about, { outcome: 'failed', error: NO_TASK }, { worker: from, via: 'recovery' });
      return;
    }
    if (runner.room === 0) return;
    const isOursAlready = from === worker && call.attempt === open.attempt;
    if (isOursAlready || (await book.dispatch(about, { ...call, from })))
      runner.resume(
        { about, task: JSON.parse(open.task), messageId: call.messageId, origin: open.origin },
        { ...call, limitMs: LIMIT_MS - open.ageMs },
      );
  }

  /** The rule of spec 2 §3.2 step 3, as far as the log says what the answer was. */
  #isToBeTriedAgain({ attempt, task, ageMs }: Open, { type, httpStatus, error }: End): boolean {
    const undelivered = type === 'a2a.unreached' && httpStatus === 502 && error !== INTERRUPTED;
    return undelivered && attempt < MAX_CALLS && task !== null && ageMs < LIMIT_MS;
  }

  async #toldBy(messageId: string, { type, httpStatus, error }: End): Promise<Told> {
    if (type !== 'a2a.answered') return { outcome: 'failed', error: UNREACHED[httpStatus] ?? (error || INTERRUPTED) };
    const { rows } = await sql<{ response: string | null }>`
      select response_body::text as response from activity where id = ${messageId}
    `.execute(this.#parts.ledger.db);
    const response = rows[0]?.response ?? null;
    if (httpStatus >= 300) return { outcome: 'failed', error: reasonPhrase(httpStatus) };
    if (response === null) return { outcome: 'failed', error: 'interrupted: the target answered, and its reply was lost' };
    return { outcome: 'completed', text: replyText(JSON.parse(response), response) };
  }

  /** V4. */
  async #hearMailboxes(): Promise<boolean> {
    const { ledger } = this.#parts;
    const { rows } = await sql<Wait>`
      select w.message_id as "messageId", w.workspace_id as "workspaceId", w.target_id as "targetId",
        w.delegation_id as "delegationId", m.status, m.last_error as "lastError",
        r.reply, r.reply_is_json as "isJson", r.reply_bytes as bytes
      from delegation_waits w join mailbox m using (message_id) left join messages r using (message_id)
      where not w.handled and m.status in ('completed', 'failed', 'dropped')
      order by w.created_at limit ${AT_ONCE}
    `.execute(ledger.db);
    for (const wait of rows) await this.#hear(wait);
    const fresh = this.#fresh;
    this.#fresh = new Set();
    const waits = await ledger.db
      .selectFrom('delegation_waits')
      .select('message_id')
      .where('handled', '=', false)
      .orderBy('created_at')
      .limit(MAX_AWAITED)
      .execute();
    this.#awaited = new Set([...fresh, ...waits.map(({ message_id }) => message_id)]);
    return rows.length === AT_ONCE;
  }

  async #hear(wait: Wait): Promise<void> {
    const { ledger, book } = this.#parts;
    const { workspaceId, targetId, delegationId, messageId } = wait;
    const { state } = await ledger.load(calls, messageId);
    const httpStatus = state.status === 'ended' ? state.end.httpStatus : 0;
    const found = await ledger.db
      .selectFrom('delegations')
      .select('tracking_id')
      .where('workspace_id', '=', workspaceId)
      .where('delegation_id', '=', delegationId)
      .where('target_id', '=', targetId)
      .where('status', 'in', ['dispatched', 'queued'] satisfies DelegationStatus[])
      .orderBy('sent_at', 'desc')
      .executeTakeFirst();
    // An agent that says 202 has the message, and no reply yet: nothing is known of the task (spec 2 §2.3).
    if (found && httpStatus !== 202) {
      const about = { trackingId: found.tracking_id as About['trackingId'], delegationId, workspaceId, targetId };
      await book.stitch(about, toldOf(wait));
    }
    await ledger.db.updateTable('delegation_waits').set({ handled: true }).where('message_id', '=', messageId).execute();
  }
}

interface Wait extends Pick<About, 'workspaceId' | 'targetId' | 'delegationId'> {
  readonly messageId: MessageId;
  readonly status: 'completed' | 'failed' | 'dropped';
  readonly lastError: string | null;
  readonly reply: string | null;
  readonly isJson: boolean | null;
  readonly bytes: number | null;
}

function toldOf({ status, lastError, reply, isJson, bytes }: Wait): Told {
  if (status === 'failed') return { outcome: 'failed', error: lastError ?? 'delivery failed' };
  if (status === 'dropped') return { outcome: 'failed', error: `dropped from the mailbox: ${lastError ?? 'unknown'}` };
  if (reply !== null) return { outcome: 'completed', text: isJson ? replyText(JSON.parse(reply), reply) : reply };
  return { outcome: 'completed', text: bytes ? `(a reply of ${bytes} bytes, which is more than is kept)` : '' };
}

/** What senders are told of calls that ended so. */
const UNREACHED: Readonly<Record<number, string>> = { 500: answers.notCreated.error ?? '' };

const isOfMailbox = ({ type }: End): boolean => type === 'a2a.completed' || type === 'a2a.failed' || type === 'a2a.dropped';

const aboutOf = ({ trackingId, delegationId, workspaceId, targetId }: About): About => ({
  trackingId,
  delegationId,
  workspaceId,
  targetId,
});
