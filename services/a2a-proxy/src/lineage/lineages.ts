/**
 * The calls that are open at each workspace, and what they say of the next one (lineage.ts).
 *
 *   Y1. What this process has in flight is known at once, from before it is sent; calls that people make cost an entry in a map.
 *   Y2. What other processes have in flight is looked up only while there are others, in one query: of direct calls those that are
 *       written down (ADR 17 says what is missed).
 *   Y3. A look-up that fails refuses nothing: what is known here counts.
 */
import type { MessageId, WorkspaceId } from '@molecule/contracts';
import { type Basics, exposeCounters } from '@molecule/service';
import { sql } from 'kysely';
import { type Answer, answers } from '../call/answer.ts';
import type { Parts } from '../parts.ts';
import { judge, type NewCall, type OpenCall, originOf } from './lineage.ts';
import { circle, tooDeep } from './refused.ts';

export interface LineageParts extends Pick<Parts, 'ledger' | 'directory' | 'worker' | 'log'> {
  readonly maxDepth: number;
  /** Other processes of this service are alive. */
  readonly hasOthers: () => boolean;
}

export type Judged = Pick<OpenCall, 'lineage'> | { readonly answer: Answer };

/** More open calls than this are not looked at. */
const MAX_OPEN = 100;

export class Lineages {
  readonly #parts: LineageParts;
  readonly #open = new Map<string, Set<OpenCall>>();
  /** Calls that were refused since the start, for the metrics. */
  readonly refused = { cycle: 0, depth: 0 };

  constructor(parts: LineageParts) {
    this.#parts = parts;
  }

  expose(metrics: Basics['metrics']): void {
    exposeCounters(metrics, {
      name: 'a2a_lineage_refused_total',
      help: 'Calls of agents to agents that were refused since the start for what led to them.',
      label: 'why',
      read: () => Object.entries(this.refused),
    });
  }

  /** A call is about to be sent. Returns what ends it. */
  enter(call: OpenCall): () => void {
    const { workspaceId } = call;
    let calls = this.#open.get(workspaceId);
    if (!calls) {
      calls = new Set();
      this.#open.set(workspaceId, calls);
    }
    calls.add(call);
    const mine = calls;
    return () => {
      mine.delete(call);
      if (mine.size === 0 && this.#open.get(workspaceId) === mine) this.#open.delete(workspaceId);
    };
  }

  /** `origin`: what was open at the caller when it decided to call, if that was earlier. */
  async judge(call: NewCall, origin?: OpenCall | null): Promise<Judged> {
    const { maxDepth, log } = this.#parts;
    const open = origin === undefined ? await this.#openAt(call.callerId) : origin === null ? [] : [origin];
    const judgement = judge(call, open, maxDepth);
    if ('lineage' in judgement) return judgement;
    const { refused, chain } = judgement;
    this.refused[refused]++;
    log.info({ messageId: call.messageId, chain, why: refused }, 'a call was refused for what led to it');
    const names = chain.map((id) => this.#parts.directory.get(id)?.name || id);
    return { answer: answers.lineage(refused === 'cycle' ? circle(chain, names) : tooDeep(chain, names, maxDepth)) };
  }

  /** What a call that is made later will be told to have come from; `null`: of the caller's own accord. */
  async originOf(callerId: WorkspaceId, targetId: WorkspaceId): Promise<OpenCall | null> {
    const origin = originOf(await this.#openAt(callerId), targetId);
    if (!origin) return null;
    const { messageId, workspaceId, lineage } = origin;
    return { messageId, workspaceId, ...(lineage && { lineage }) };
  }

  async #openAt(workspaceId: WorkspaceId): Promise<readonly OpenCall[]> {
    const here = [...(this.#open.get(workspaceId) ?? [])];
    if (!this.#parts.hasOthers()) return here;
    try {
      return [...(await this.#elsewhere(workspaceId)), ...here];
    } catch (error) {
      this.#parts.log.warn({ err: error, workspaceId }, 'the open calls of other processes could not be looked up');
      return here; // Y3
    }
  }

  /** Y2. */
  async #elsewhere(workspaceId: WorkspaceId): Promise<OpenCall[]> {
    const { ledger, worker } = this.#parts;
    const { rows } = await sql<{ messageId: MessageId; lineage: OpenCall['lineage'] | null }>`
      (select data ->> 'messageId' as "messageId", data -> 'lineage' as lineage from events
        where type = 'a2a.dispatched' and data ->> 'via' = 'direct' and data ->> 'workspaceId' = ${workspaceId}
          and recorded_at >= (select min(open_since) from workers) and data ->> 'worker' <> ${worker}
          and not exists (select from events later where later.stream = events.stream and later.version = events.version + 1)
        order by recorded_at desc limit ${MAX_OPEN})
      union all
      select message_id::text, lineage from mailbox
      where workspace_id = ${workspaceId} and status = 'dispatched' and worker <> ${worker}
    `.execute(ledger.db);
    return rows.map(({ messageId, lineage }) => ({ messageId, workspaceId, ...(lineage && { lineage }) }));
  }
}
