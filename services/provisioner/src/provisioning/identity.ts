/** Who an agent is for git, and what else its environment says of it (spec 3 §1.6). Pure. */
import type { Blueprint } from './blueprints.ts';

/** Lower case; every run of anything but letters and digits is one `-`, none at the ends. */
export const slug = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');

/** `given` is what secrets set already: an existing value counts, also an empty one. */
export function agentEnvironment(
  { name, role, runtime, model, awarenessNamespace, ofTeam }: Blueprint,
  {
    workspaceId,
    parentId,
    awarenessUrl,
    given,
  }: {
    readonly workspaceId: string;
    readonly parentId: string | null;
    readonly awarenessUrl: string;
    readonly given: Readonly<Record<string, string>>;
  },
): Record<string, string> {
  const trimmed = name.trim();
  const author = `Molecule AI ${trimmed}`;
  const address = `${slug(trimmed)}@agents.moleculesai.app`;
  const git =
    trimmed === ''
      ? {}
      : {
          GIT_AUTHOR_NAME: author,
          GIT_COMMITTER_NAME: author,
          GIT_AUTHOR_EMAIL: address,
          GIT_COMMITTER_EMAIL: address,
        };
  const wanted = model || given['MODEL_PROVIDER'] || '';
  const namespace = awarenessNamespace || `workspace:${workspaceId}`;
  return {
    ...(awarenessUrl === '' ? {} : { AWARENESS_NAMESPACE: namespace, AWARENESS_URL: awarenessUrl }),
    ...git,
    ...given,
    ...(wanted !== '' && runtime === 'hermes' ? { HERMES_DEFAULT_MODEL: wanted } : {}),
    ...(role === null || role === '' ? {} : { MOLECULE_AGENT_ROLE: role }),
    ...(ofTeam && parentId !== null ? { PARENT_ID: parentId } : {}),
  };
}
