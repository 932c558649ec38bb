/**
 * Evaluates beats (spec 1 §2.3, §3.3): fold into memory, decide, store transitions only, tell canvases.
 *
 *   P1. A beat that moves nothing costs no SQL, and no more in a fleet of 100,000 than in one of ten (D6).
 *   P2. The beats of one workspace are evaluated one after the other; what a beat moved is committed before its live events are said.
 *   P3. Every replica evaluates every beat; the command id names the beat, so its facts are stored once. Only the replica that leads
 *       speaks (live events) and writes vitals.
 *   P4. A beat heard again, from the stream that keeps the last ones, counts only for what happened before it was first heard.
 *   P5. `status_mgmt` is judged by what was declared before this beat.
 *   P6. A beat was heard when our own clock says (limits F16): gateways' clocks only order what is heard again. Leases are counted
 *       by the clock that is never set.
 */
import { heardAt, heardMs } from '@molecule/bus';
import type { Beat, LiveEvent } from '@molecule/contracts';
import { type Clock, Gate, type Log } from '@molecule/service';
import type { Fleet, Member } from './fleet.ts';
import { type BeatSigns, beatMoves, weigh } from './status.ts';
import type { WorkspaceStore } from './store.ts';
import { storable, type Vitals, vitalsOf } from './vitals.ts';

export interface PulseParts {
  readonly fleet: Fleet;
  readonly store: Pick<WorkspaceStore, 'change'>;
  readonly live: { say(event: LiveEvent): void };
  readonly clock: Clock;
  readonly log: Log;
  /** How long a declaration of capabilities holds without a beat, in milliseconds. */
  readonly leaseMs: number;
}

/** Transitions stored at the same time: after an outage everybody comes back at once, and the pool must not be swamped. */
const CONCURRENT_TRANSITIONS = 8;
/** Beats of workspaces not heard of yet that are kept until they are. */
const MAX_STRANGERS = 1_000;

export class Pulse {
  readonly #parts: PulseParts;
  readonly #gate = new Gate(CONCURRENT_TRANSITIONS);
  readonly #strangers = new Map<string, { readonly beat: Beat; readonly replayed: boolean }>();
  #changed = new Set<Member>();
  /** Whether this replica speaks and writes (P3). */
  leading = false;

  constructor(parts: PulseParts) {
    this.#parts = parts;
    parts.fleet.onJoin(({ id }) => {
      const heard = this.#strangers.get(id);
      this.#strangers.delete(id);
      if (heard) void this.hear(heard.beat, heard);
    });
  }

  /** Resolves when what the beat moved is committed and told; most beats are done when it returns. Never rejects. */
  hear(accepted: Beat, { replayed }: { readonly replayed: boolean }): void | Promise<void> {
    const beat = { ...accepted, receivedAt: heardAt(accepted, { replayed }, this.#parts.clock) }; // P6
    const member = this.#parts.fleet.get(beat.workspaceId);
    if (member === undefined) return this.#keepStranger(beat, replayed);
    if (member.status === 'removed') return;

    const statusManaged = this.#managedBefore(member, beat, replayed); // P5
    const before = member.vitals;
    const news = !replayed || before === null || beat.receivedAt > before.lastBeatAt; // P4
    this.#declare(member, beat, replayed);
    if (!news) return;
    const vitals = vitalsOf(beat, before);
    member.vitals = vitals;
    member.heardMs = Math.max(this.#heardMs(beat), member.heardMs ?? Number.NEGATIVE_INFINITY);
    member.idleSince = vitals.activeTasks > 0 ? null : (member.idleSince ?? this.#parts.clock.monotonicMs());
    this.#changed.add(member);
    if (replayed && beat.receivedAt <= Math.max(member.statusSince, member.registeredAt)) return; // P4

    const signs: BeatSigns = {
      errorRate: beat.errorRate,
      sampleError: vitals.sampleError,
      runtimeState: storable(beat.runtimeState),
      statusManaged,
    };
    const say = () => {
      if (!replayed) this.#say(member, vitals, before?.currentTask ?? '');
    };
    if (member.pending === null && !moves(member, signs)) return say(); // P1
    return this.#inTurn(member, async () => {
      if (moves(member, signs)) await this.#store(member, beat, signs);
      say(); // P2
    });
  }

  /**
   * Whose vitals changed since the last call, to be stored. Give back what could not be. Nobody's who was removed since: a purge must
   * not be followed by a row.
   */
  takeChanged(): ReadonlySet<Member> {
    const changed = this.#changed;
    this.#changed = new Set();
    return new Set([...changed].filter(({ status }) => status !== 'removed'));
  }

  giveBack(members: ReadonlySet<Member>): void {
    for (const member of members) this.#changed.add(member);
  }

  #managedBefore(member: Member, beat: Beat, replayed: boolean): boolean {
    // What was declared before a beat heard again is not known after a restart; its own declaration is the best guess.
    if (replayed && member.managesStatus === null) return declares(beat) === true;
    return !this.#lapsed(member, beat) && member.managesStatus === true;
  }

  /** A beat that speaks of its runtime replaces what was declared; one that does not, leaves it (README choice 2). */
  #declare(member: Member, beat: Beat, replayed: boolean): void {
    if (this.#lapsed(member, beat)) member.managesStatus = null;
    const declared = declares(beat);
    if (declared === null || (replayed && beat.receivedAt <= Math.max(member.registeredAt, member.declaredAt))) return;
    member.managesStatus = declared;
    member.declaredAt = beat.receivedAt;
  }

  #lapsed(member: Member, beat: Beat): boolean {
    return member.heardMs !== null && this.#heardMs(beat) - member.heardMs > this.#parts.leaseMs;
  }

  #heardMs({ receivedAt }: Beat): number {
    return heardMs(receivedAt, this.#parts.clock);
  }

  #keepStranger(beat: Beat, replayed: boolean): void {
    this.#strangers.delete(beat.workspaceId);
    this.#strangers.set(beat.workspaceId, { beat, replayed });
    if (this.#strangers.size <= MAX_STRANGERS) return;
    const [oldest] = this.#strangers.keys();
    if (oldest !== undefined) this.#strangers.delete(oldest);
  }

  /** P2: after the transitions of earlier beats of the same workspace. */
  #inTurn(member: Member, work: () => Promise<void>): Promise<void> {
    const turn = (member.pending ?? Promise.resolve())
      .then(work)
      .catch((error: unknown) => this.#parts.log.error({ err: error, workspaceId: member.id }, 'a beat could not be evaluated'))
      .then(() => {
        if (member.pending === turn) member.pending = null;
      });
    member.pending = turn;
    return turn;
  }

  async #store(member: Member, beat: Beat, signs: BeatSigns): Promise<void> {
    const commandId = `beat.${beat.gateway}.${beat.seq}`; // P3
    try {
      await this.#gate.pass(() => this.#parts.store.change(member.id, { commandId }, weigh({ kind: 'beat', ...signs })));
    } catch (error) {
      this.#parts.log.error({ err: error, workspaceId: member.id }, 'what a beat moved could not be stored');
    }
  }

  #say(member: Member, { activeTasks, uptimeSeconds, currentTask }: Vitals, taskBefore: string): void {
    if (!this.leading) return;
    const event = (type: LiveEvent['event'], payload: LiveEvent['payload']): LiveEvent => ({
      event: type,
      workspaceId: member.id,
      timestamp: this.#parts.clock.now().toISOString(),
      payload,
      after: member.version,
    });
    if (currentTask !== taskBefore) {
      this.#parts.live.say(event('TASK_UPDATED', { current_task: currentTask, active_tasks: activeTasks }));
    }
    this.#parts.live.say(event('WORKSPACE_HEARTBEAT', { active_tasks: activeTasks, uptime_seconds: uptimeSeconds }));
  }
}

/** Whether the runtime says that it judges its own health (`status_mgmt`); `null` when it says nothing of itself. */
const declares = ({ runtimeMetadata }: Beat): boolean | null =>
  runtimeMetadata === undefined ? null : runtimeMetadata.capabilities?.['status_mgmt'] === true;

const moves = ({ status }: Member, signs: BeatSigns): boolean => status !== 'removed' && beatMoves(status, signs).length > 0;
