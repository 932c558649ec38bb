/** What a workspace is made to remember when it is created (spec 1 §1.4): which of it is kept, and how. */
import type { WorkspaceId } from '@molecule/contracts';
import type { Tx } from '@molecule/event-store';
import { firstBytes, type Log } from '@molecule/service';
import { redact } from '@molecule/vault';
import { z } from 'zod';
import type { Tables } from '../database.ts';

export const MemoryScope = z.enum(['LOCAL', 'TEAM', 'GLOBAL']);
export type MemoryScope = z.infer<typeof MemoryScope>;

export interface Memory {
  readonly scope: MemoryScope;
  readonly content: string;
}

export interface Seed {
  readonly content?: string | null | undefined;
  readonly scope?: string | null | undefined;
}

/** Of what is kept of one text. */
export const MAX_MEMORY_BYTES = 100_000;
/** Spec 2 §7.10. */
const NAMESPACE = 'general';

/** Pure. A secret is taken out before the text is cut: half of one would not be recognised. */
export const memoriesOf = (seeds: readonly Seed[]): readonly Memory[] =>
  seeds.flatMap(({ content, scope }) => {
    const known = MemoryScope.safeParse((scope || 'LOCAL').toUpperCase());
    if (!known.success || !content) return [];
    return [{ scope: known.data, content: firstBytes(marked(known.data, redact(content)), MAX_MEMORY_BYTES) }];
  });

/** What everybody reads is shown between marks; no text can bring its own (spec 2 §7.10). */
const marked = (scope: MemoryScope, text: string): string =>
  scope === 'GLOBAL' ? text.replaceAll('[MEMORY ', '[_MEMORY ') : text;

export interface Seeding {
  readonly at: string;
  readonly newId: () => string;
  readonly log: Log;
}

/** Within the transaction that makes the workspace. What goes wrong is logged, and takes nothing else with it. */
export async function seedMemories(
  tx: Tx<Tables>,
  workspaceId: WorkspaceId,
  memories: readonly Memory[],
  { at, newId, log }: Seeding,
): Promise<void> {
  if (memories.length === 0) return;
  await tx.query('savepoint memories');
  try {
    for (const { scope, content } of memories) {
      const row = { id: newId(), workspace_id: workspaceId, namespace: NAMESPACE, scope, content, created_at: at };
      await tx.db.insertInto('memories').values(row).execute();
    }
  } catch (error) {
    await tx.query('rollback to savepoint memories');
    const { code } = error as { readonly code?: unknown };
    // Not the error itself: it may hold the row.
    log.warn({ workspaceId, code, memories: memories.length }, 'a new workspace was given nothing to remember');
  }
}
