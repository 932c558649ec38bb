/**
 * Evaluates beats (spec 1 §2.3, §3.3): fold into memory, decide, store transitions only, tell canvases.
 *
 *   P1. A beat that moves nothing costs no SQL, and no more in a fleet of 100,000 than in one of ten (D6).
 *   P2. The beats of one workspace are evaluated one after the other; what a beat moved is committed before its live events are said.
 *   P3. Every replica evaluates every beat; the command id names the beat, so its facts are stored once. Only the replica that leads
 *       speaks (live events) and writes vitals.
 *   P4. A beat heard again, from the stream that keeps the last ones, counts only for what happened before it was first heard.
 *   P5. `status_mgmt` is judged by what was declared before this beat.
 */
import { type Beat, type CapabilitySet, capabilitySet, type LiveEvent } from '@molecule/contracts';
import type { Clock, Log } from '@molecule/service';
import type { Fleet, Member } from './fleet.ts';
import { Gate } from './gate.ts';
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
const NONE: CapabilitySet = new Set();

export class Pulse {
  readonly #parts: PulseParts;
  readonly #gate = new Gate(CONCURRENT_TRANSITIONS);
  readonly #strangers = new Map<string, { readonly beat: Beat; readonly replayed: boolean }>();
  #changed = new Map<Member['id'], Vitals>();
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
  hear(beat: Beat, { replayed }: { readonly replayed: boolean }): void | Promise<void> {
    const member = this.#parts.fleet.get(beat.workspaceId);
    if (member === undefined) return this.#keepStranger(beat, replayed);
    if (member.status === 'removed') return;

    const managed = this.#capabilitiesBefore(member, beat, replayed).has('status_mgmt'); // P5
    const before = member.vitals;
    const news = !replayed || before === null || beat.receivedAt > before.lastBeatAt; // P4
    this.#declare(member, beat, replayed);
    if (!news) return;
    const vitals = vitalsOf(beat, before);
    member.vitals = vitals;
    this.#changed.set(member.id, vitals);
    if (replayed && beat.receivedAt <= Math.max(member.statusSince, member.registeredAt)) return; // P4

    const signs: BeatSigns = {
      errorRate: beat.errorRate,
      sampleError: vitals.sampleError,
      runtimeState: storable(beat.runtimeState),
      statusManaged: managed,
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

  /** What has changed since the last call, to be stored. Give back what could not be. */
  takeChanged(): readonly (readonly [Member['id'], Vitals])[] {
    const changed = [...this.#changed];
    this.#changed = new Map();
    return changed;
  }

  giveBack(entries: readonly (readonly [Member['id'], Vitals])[]): void {
    for (const [id, vitals] of entries) if (!this.#changed.has(id)) this.#changed.set(id, vitals);
  }

  #capabilitiesBefore(member: Member, beat: Beat, replayed: boolean): CapabilitySet {
    // What was declared before a beat heard again is not known after a restart; its own declaration is the best guess.
    if (replayed && member.capabilities === null) return capabilitySet(beat.runtimeMetadata?.capabilities);
    const lapsed = beat.receivedAt - (member.vitals?.lastBeatAt ?? 0) > this.#parts.leaseMs;
    return lapsed ? NONE : (member.capabilities ?? NONE);
  }

  /** A beat that speaks of its runtime replaces what was declared; one that does not, leaves it (README choice 2). */
  #declare(member: Member, beat: Beat, replayed: boolean): void {
    if (beat.receivedAt - (member.vitals?.lastBeatAt ?? 0) > this.#parts.leaseMs) member.capabilities = null;
    if (beat.runtimeMetadata === undefined || (replayed && beat.receivedAt <= member.registeredAt)) return;
    if (replayed && beat.receivedAt < member.capabilitiesAt) return;
    member.capabilities = capabilitySet(beat.runtimeMetadata.capabilities);
    member.capabilitiesAt = beat.receivedAt;
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

const moves = ({ status }: Member, signs: BeatSigns): boolean => status !== 'removed' && beatMoves(status, signs).length > 0;
