/**
 * `POST /workspaces` (spec 1 §1.4), from what was asked for to a workspace that is being started.
 *
 *   C1. The workspace, its secrets and what it is to remember are one transaction. What fails leaves no trace; memories fail by
 *       themselves.
 *   C2. The parent is held, so that it cannot be removed meanwhile (`removal.ts`, X2).
 *   C3. Where nothing could start it, it has failed before the answer.
 */
import { Refusal, type WorkspaceFact, type WorkspaceId } from '@molecule/contracts';
import type { CommandMeta } from '@molecule/event-store';
import { TemplateUnreadable } from '@molecule/templates';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { hasBackend } from './backend.ts';
import { storeConfig } from './config-document.ts';
import { create, type NewWorkspace } from './decisions.ts';
import { memoriesOf, seedMemories } from './memories.ts';
import type { MintedToken } from './minting.ts';
import type { NewWorkspaceBody, TemplateSays } from './new-workspace.ts';
import { saveSecrets, sealSecrets } from './secrets.ts';
import { weigh } from './status.ts';
import { holdParent } from './tree.ts';

/** What a template says that a workspace is to be made of. One that cannot be read says nothing. @throws what the file system cannot say */
export async function templateSays(
  { templates, log }: Pick<Parts, 'templates' | 'log'>,
  template: string,
): Promise<TemplateSays> {
  const nothing = { runtime: '', model: '' };
  if (template === '') return nothing;
  const { kind } = await templates.locate(template);
  if (kind !== 'directory') return kind === 'outside' ? 'outside' : nothing;
  try {
    const { runtime, model } = await templates.read(template);
    return { runtime, model };
  } catch (error) {
    if (!(error instanceof TemplateUnreadable)) throw error;
    log.info({ template, reason: error.reason }, 'a template says nothing about its runtime');
    return nothing;
  }
}

export interface Creation {
  readonly id: WorkspaceId;
  readonly wanted: NewWorkspace;
  readonly given: Pick<NewWorkspaceBody, 'secrets' | 'initial_memories'>;
  readonly minted: MintedToken;
}

/** C1. Answers the version of the workspace. */
export const createWorkspace = (
  { store, vault, clock, newId, log }: Parts,
  { id, wanted, given, minted }: Creation,
  meta: CommandMeta,
): Promise<number> =>
  store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    const facts: readonly WorkspaceFact[] = create(id, wanted, minted.token)(state);
    if (wanted.parentId !== null && !(await holdParent(tx, wanted.parentId)))
      throw new Refusal('failed', 'failed to create workspace');
    const secrets = sealSecrets(vault, given.secrets);
    const commit = await tx.append(workspace, id, facts, version, meta);
    committing(commit);
    const at = clock.now().toISOString();
    await saveSecrets(tx.db, id, secrets, { at, log });
    await seedMemories(tx, id, memoriesOf(given.initial_memories ?? []), { at, newId, log });
    return commit.version;
  });

interface Created {
  readonly id: WorkspaceId;
  readonly version: number;
  readonly wanted: Pick<NewWorkspace, 'name' | 'runtime' | 'tier' | 'template'>;
}

/** C3. Comes back when every directory knows of the workspaces, and what became of them. */
export async function failWithoutBackend(
  { bus, store, barrier, log }: Pick<Parts, 'bus' | 'store' | 'barrier' | 'log'>,
  created: readonly Created[],
  meta: () => CommandMeta,
): Promise<void> {
  if (created.length === 0) return;
  const startable = await hasBackend({ bus, log });
  await Promise.all(
    created.map(async (each) => {
      const version = startable ? each.version : await failOne(store, each, meta());
      await barrier.passed(each.id, version);
    }),
  );
}

/** Its page is left with what it was to be made of. Answers its version. */
const failOne = (store: Parts['store'], { id, wanted }: Created, meta: CommandMeta): Promise<number> =>
  store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    const facts: readonly WorkspaceFact[] = weigh({ kind: 'no-backend' })(state);
    if (facts.length === 0) return version;
    const commit = await tx.append(workspace, id, facts, version, meta);
    committing(commit);
    const { name, runtime, tier, template } = wanted;
    await storeConfig(tx.db, id, { name, runtime, tier, template });
    return commit.version;
  });
