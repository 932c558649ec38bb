/**
 * Puts workspaces to sleep, in three steps (spec 1 §1.8): the claim, the stop, and that it sleeps.
 *
 *   H1. Whoever stores the claim closes the door (I4); one replica at a time, the one that leads, stops what was claimed and says that
 *       it sleeps. So a hibernation is stopped once, however many ask for it.
 *   H2. What was claimed and not finished is found by its status, whoever claimed it, and whatever became of them.
 *   H3. A runtime that could not be stopped sleeps all the same; the provisioner stops what runs for one that sleeps.
 */
import { Refusal, type WorkspaceId } from '@molecule/contracts';
import type { CommandMeta } from '@molecule/event-store';
import { Gate, sleep } from '@molecule/service';
import type { Parts } from '../parts.ts';
import { stopRuntime } from './backend.ts';
import { hibernate, hibernated } from './lifecycle.ts';

const CONCURRENT_STOPS = 8;
/** A little more than a stop may take. */
const ASLEEP_WITHIN_MS = 35_000;

export type HibernationParts = Pick<Parts, 'bus' | 'store' | 'fleet' | 'barrier' | 'log'>;

type ClaimParts = Pick<HibernationParts, 'store' | 'fleet' | 'barrier'>;

interface Claim {
  readonly force: boolean;
  readonly meta: CommandMeta;
}

/** The first step. Throws the refusals of the wire. */
export async function claimSleep({ store, fleet, barrier }: ClaimParts, id: WorkspaceId, { force, meta }: Claim): Promise<void> {
  const activeTasks = Math.max(0, fleet.vitals(id)?.activeTasks ?? 0);
  const { version } = await store.change(id, meta, hibernate({ activeTasks, force }));
  await barrier.passed(id, version); // H1
}

/**
 * `POST …/hibernate`. Resolves when it sleeps and everybody knows, so that the next message wakes it (I4); or when that takes too
 * long: then it will. Throws the refusals of the wire.
 */
export async function putToSleep(parts: ClaimParts, id: WorkspaceId, claim: Claim): Promise<void> {
  const { fleet, barrier } = parts;
  await claimSleep(parts, id, claim);
  await fleet.until(id, (status) => status !== 'hibernating', { signal: AbortSignal.timeout(ASLEEP_WITHIN_MS) });
  const member = fleet.get(id);
  if (member !== undefined) await barrier.passed(id, member.version);
}

/** Finishes what was claimed. Told to look by whoever learns of a claim. */
export class Hibernations {
  readonly #parts: HibernationParts;
  readonly #gate = new Gate(CONCURRENT_STOPS);
  readonly #underWay = new Map<WorkspaceId, Promise<void>>();

  constructor(parts: HibernationParts) {
    this.#parts = parts;
  }

  /** H2. Begins what nobody here is at. Returns at once. */
  finishAll(): void {
    for (const id of this.#parts.fleet.withStatus('hibernating')) {
      if (this.#underWay.has(id)) continue;
      const finishing = this.#gate
        .pass(() => this.#finish(id))
        .catch((error: unknown) => this.#parts.log.warn({ err: error, workspaceId: id }, 'a hibernation was not finished yet'))
        .finally(() => this.#underWay.delete(id));
      this.#underWay.set(id, finishing);
    }
  }

  /** Resolves when nothing is under way, or after `withinMs`: what is left is found by the next (H2). */
  async settled(withinMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([Promise.all(this.#underWay.values()), sleep(withinMs, over.signal)]);
    over.abort();
  }

  async #finish(id: WorkspaceId): Promise<void> {
    const { fleet, store, barrier, log } = this.#parts;
    const member = fleet.get(id);
    if (member?.status !== 'hibernating') return;
    // Named after the claim: asked again for the same one, neither the stop nor its end counts twice.
    const claim = `hibernate.${id}.${member.statusVersion}`;
    await stopRuntime(this.#parts, id, { commandId: `${claim}.stop` });
    const { version, facts } = await store.change(id, { commandId: `${claim}.done` }, hibernated);
    await barrier.passed(id, version);
    if (facts.length > 0) log.info({ workspaceId: id }, 'a workspace sleeps');
  }
}

/** Whether somebody else was quicker, or it moved on by itself: nothing to tell anybody of. */
export const isOvertaken = (error: unknown): boolean =>
  error instanceof Refusal && (error.kind === 'not-found' || error.kind === 'conflict');
