/**
 * `PATCH /workspaces/:id` (spec 1 §1.5): each known key applied by itself if it is there; a value the store cannot take is passed over,
 * and everything else in the body is ignored.
 */
import { Refusal, WorkspaceId } from '@molecule/contracts';
import type { CommandMeta, Tx } from '@molecule/event-store';
import { z } from 'zod';
import type { Tables } from '../database.ts';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { change, type Patch } from './decisions.ts';
import { Int, isAllowedDirectory, textProblem } from './new-workspace.ts';
import { findWorkspace, lineageOf } from './queries.ts';
import { holdParent } from './tree.ts';

type Body = Readonly<Record<string, unknown>>;

/** Answers whether the workspace needs a restart to see the change. Throws the refusals of the wire, in their order. */
export async function patchWorkspace(
  { store, barrier }: Pick<Parts, 'store' | 'barrier'>,
  id: WorkspaceId,
  body: Body,
  meta: CommandMeta,
): Promise<boolean> {
  const text = textProblem({ name: textOf(body, 'name'), role: textOf(body, 'role'), runtime: textOf(body, 'runtime') });
  if (text !== null) throw new Refusal('invalid', text);
  const directory = directoryOf(body);
  const fields = fieldsOf(body);
  const version = await store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    if (state.situation === 'removed' && !(await findWorkspace(tx.db, id))) throw new Refusal('not-found', 'workspace not found');
    const parentId = await parentOf(tx, id, body);
    const patch: Patch = { ...fields, ...(directory !== 'refused' && { workspaceDir: directory }), parentId };
    const facts = change(patch)(state);
    if (facts.length === 0) return version;
    const commit = await tx.append(workspace, id, facts, version, meta);
    committing(commit);
    return commit.version;
  });
  await barrier.passed(id, version);
  // Checked after the other fields were applied.
  if (directory === 'refused') throw new Refusal('invalid', 'invalid workspace directory');
  return Object.hasOwn(body, 'workspace_dir');
}

const textOf = (body: Body, key: string): string | undefined => (typeof body[key] === 'string' ? body[key] : undefined);

/** The fields that need no look at anything else. A wrong type is passed over. */
function fieldsOf(body: Body): Patch {
  const { role, tier, collapsed, x, y } = body;
  const wholeTier = Int.safeParse(tier);
  return {
    name: textOf(body, 'name'),
    role: role === null || role === '' ? null : textOf(body, 'role'),
    tier: wholeTier.success ? wholeTier.data : undefined,
    runtime: textOf(body, 'runtime'),
    collapsed: typeof collapsed === 'boolean' ? collapsed : undefined,
    canvas: isPlace(x) && isPlace(y) ? { x, y } : undefined,
    idleMinutes: idleMinutesOf(body),
  };
}

const IdleMinutes = Int.min(0).nullable();

/** 0 is another way to say never. */
function idleMinutesOf(body: Body): number | null | undefined {
  const minutes = IdleMinutes.safeParse(body['hibernation_idle_minutes']);
  if (!minutes.success) return undefined;
  return minutes.data === 0 ? null : minutes.data;
}

/** `1e400` is a number of JSON, but none that a fact can hold. */
const isPlace = (value: unknown): value is number => Number.isFinite(value);

/** `undefined`: not in the body, or of a type the store does not take; `null`: cleared. */
function directoryOf(body: Body): string | null | undefined | 'refused' {
  const { workspace_dir: directory } = body;
  if (directory === null || directory === '') return null;
  if (typeof directory !== 'string') return undefined;
  return isAllowedDirectory(directory) ? directory : 'refused';
}

const ParentId = z.union([z.null(), WorkspaceId]);

/** The parent that is asked for, held so that it cannot be removed meanwhile. Passed over: unknown or removed ones, and circles. */
async function parentOf(tx: Tx<Tables>, id: WorkspaceId, body: Body): Promise<WorkspaceId | null | undefined> {
  const parsed = ParentId.safeParse(body['parent_id']);
  if (!parsed.success) return undefined;
  const parentId = parsed.data;
  if (parentId === null) return null;
  const lineage = await lineageOf(tx.db, [parentId]);
  if (lineage.has(id)) return undefined;
  return (await holdParent(tx, parentId)) ? parentId : undefined;
}
