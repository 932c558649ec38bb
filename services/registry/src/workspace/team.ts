/**
 * Teams (spec 1 §1.9, spec 3 §5.9): a workspace is expanded into the children that its template lists. How it is collapsed again is
 * `removal.ts`'s business.
 *
 *   M1. All children and what the parent says of them are one transaction, the parent held as for any child (`creation.ts`, C2).
 *   M2. A child is made by the rules of every new workspace; one that breaks them, or for which there is no room in the fact that
 *       tells of them (D10), is left out.
 *   M3. Children start like any workspace: from the template that they name if there is one, else from a generated configuration.
 */
import { Refusal, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import type { CommandMeta } from '@molecule/event-store';
import { type SubWorkspace, type Template, TemplateUnreadable } from '@molecule/templates';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { failWithoutBackend, templateSays } from './creation.ts';
import { type Child, createChild, expand, type NewWorkspace } from './decisions.ts';
import { fitting } from './fitting.ts';
import { NewWorkspaceBody, parseNewWorkspace } from './new-workspace.ts';
import type { WorkspaceRow } from './queries.ts';
import { holdParent } from './tree.ts';

const MAX_CHILDREN_BYTES = 48 * 1024;

const notFound = () => new Refusal('not-found', 'workspace not found');

/** What the template of the team lists. Throws the refusals of the wire, in their order. */
export async function membersOf({ templates }: Pick<Parts, 'templates'>, name: string): Promise<readonly SubWorkspace[]> {
  const template = await templates.ofTeam(name).catch((error: unknown): Template => {
    if (!(error instanceof TemplateUnreadable)) throw error;
    throw new Refusal('failed', error.reason === 'unparsed' ? 'failed to parse config' : 'failed to read config', {
      cause: error,
    });
  });
  if (template === undefined) throw new Refusal('invalid', 'no config found for workspace');
  if (template.subWorkspaces.length === 0) throw new Refusal('invalid', 'workspace has no sub_workspaces defined in config');
  return template.subWorkspaces;
}

/** M1. Answers the children that were made. Throws the 404 when the parent has gone meanwhile. */
export async function expandInto(
  parts: Parts,
  parent: WorkspaceRow,
  members: readonly SubWorkspace[],
  meta: () => CommandMeta,
): Promise<readonly Child[]> {
  const { store, barrier } = parts;
  const planned = await plan(parts, parent, members);
  const created = await store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, parent.workspace_id);
    const expanded: readonly WorkspaceFact[] = expand(planned.map(({ child }) => child))(state);
    const births = [];
    for (const { child, wanted } of planned) {
      const unborn = await tx.load(workspace, child.id);
      births.push({ id: child.id, wanted, facts: createChild(child.id, wanted)(unborn.state) });
    }
    if (!(await holdParent(tx, parent.workspace_id))) throw notFound();
    const versions = [];
    for (const { id, wanted, facts } of births) {
      const commit = await tx.append(workspace, id, facts, 0, meta());
      committing(commit);
      versions.push({ id, wanted, version: commit.version });
    }
    committing(await tx.append(workspace, parent.workspace_id, expanded, version, meta()));
    return versions;
  });
  const external = created.filter(({ wanted }) => wanted.external);
  await Promise.all(external.map(({ id, version }) => barrier.passed(id, version)));
  await failWithoutBackend(
    parts,
    created.filter(({ wanted }) => !wanted.external),
    meta,
  );
  return planned.map(({ child }) => child);
}

interface Planned {
  readonly child: Child;
  readonly wanted: NewWorkspace;
}

/** M2, M3. */
async function plan(parts: Parts, parent: WorkspaceRow, members: readonly SubWorkspace[]): Promise<readonly Planned[]> {
  const { newId, log } = parts;
  const planned: Planned[] = [];
  for (const member of members) {
    const wanted = await childOf(parts, parent, member);
    if (wanted === null) continue;
    planned.push({ child: { id: WorkspaceId.parse(newId()), name: wanted.name, role: wanted.role ?? '' }, wanted });
  }
  const fit = fitting(
    planned.map(({ child }) => child),
    MAX_CHILDREN_BYTES,
  ).length;
  const leftOut = members.length - fit;
  if (leftOut > 0) log.warn({ workspaceId: parent.workspace_id, leftOut }, 'some members of a team were left out');
  return planned.slice(0, fit);
}

/** `null`: the rules of new workspaces forbid it. */
async function childOf(parts: Parts, parent: WorkspaceRow, { config, name, role }: SubWorkspace): Promise<NewWorkspace | null> {
  const isThere = config !== '' && (await parts.templates.locate(config)).kind === 'directory';
  const template = isThere ? config : '';
  const { success, data } = NewWorkspaceBody.safeParse({
    name,
    role,
    template,
    tier: parent.tier,
    parent_id: parent.workspace_id,
  });
  if (!success) return null;
  const says = await templateSays(parts, template);
  try {
    return { ...parseNewWorkspace(data, says), tier: parent.tier };
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}
