/**
 * Finds what runs for nobody, and has it reaped: observe, plan, apply. A failure anywhere ends the pass; the next one looks again.
 *
 *   O1. What was found is said once, however often it is seen, by however many replicas, before and after a restart: what is found
 *       and not reaped is not found again, and what is known by when it was made is not found again after it was reaped either.
 */
import { ask as askService } from '@molecule/bus';
import { ask, type ManagedResource, type SweepFact } from '@molecule/contracts';
import { orphan } from '../finding/finding.ts';
import type { Parts } from '../parts.ts';
import { candidates, planReaps, type Reap } from './plan.ts';

/** The registry answers for so many prefixes at once. */
const PAGE = 500;
const ENGINE_LIMIT_MS = 30_000;

export class OrphanSweep {
  readonly #parts: Parts;
  readonly #graceMs: number;
  readonly #firstSeen = new Map<string, number>();

  constructor(parts: Parts, graceMs: number) {
    this.#parts = parts;
    this.#graceMs = graceMs;
  }

  async sweep(): Promise<void> {
    const { bus, clock } = this.#parts;
    const { backend, installation } = await askService(bus, ask.provisioner.backend, {});
    if (backend === 'none') return;
    const { resources } = await askService(bus, ask.provisioner.listManaged, {}, { timeoutMs: ENGINE_LIMIT_MS });
    const asked = candidates(resources, installation);
    const now = clock.now().getTime();
    this.#remember(asked, now);
    const rows = [];
    for (let from = 0; from < asked.length; from += PAGE) {
      const prefixes = asked.slice(from, from + PAGE).map(({ prefix }) => prefix);
      rows.push(...(await askService(bus, ask.registry.rows, { prefixes })).rows);
    }
    const reaps = planReaps(asked, rows, { now, graceMs: this.#graceMs, firstSeen: this.#firstSeen });
    const made = new Map(asked.map(({ prefix, createdAt }) => [prefix, createdAt]));
    for (const reap of reaps) await this.#apply(reap, backend, made.get(reap.prefix) ?? `${this.#firstSeen.get(reap.prefix)}`);
  }

  /** I8: each act is logged with its evidence, before and after. */
  async #apply(reap: Reap, backend: 'docker' | 'process', which: string): Promise<void> {
    const { bus, ledger, log } = this.#parts;
    const found = { ...reap, backend };
    await ledger.transact(orphan, { id: reap.prefix, commandId: `found-${which}` }, ({ status }): readonly SweepFact[] =>
      status === 'found' ? [] : [{ type: 'orphan.found', data: found }],
    );
    log.warn(found, 'an orphan was found');
    const { outcome, volumeRemoved } = await askService(
      bus,
      ask.provisioner.reap,
      { prefix: reap.prefix },
      { timeoutMs: ENGINE_LIMIT_MS },
    );
    if (outcome === 'failed' || outcome === 'no-backend') {
      log.warn({ ...found, outcome }, 'an orphan could not be stopped; the next pass tries again');
      return;
    }
    await ledger.transact(orphan, { id: reap.prefix, commandId: `reaped-${which}` }, ({ status }): readonly SweepFact[] =>
      status === 'found' ? [{ type: 'orphan.reaped', data: { ...found, volumeRemoved } }] : [],
    );
    log.warn({ ...found, volumeRemoved }, 'an orphan was reaped');
    this.#firstSeen.delete(reap.prefix);
  }

  #remember(resources: readonly ManagedResource[], now: number): void {
    const present = new Set(resources.map(({ prefix }) => prefix));
    for (const prefix of this.#firstSeen.keys()) if (!present.has(prefix)) this.#firstSeen.delete(prefix);
    for (const prefix of present) if (!this.#firstSeen.has(prefix)) this.#firstSeen.set(prefix, now);
  }
}
