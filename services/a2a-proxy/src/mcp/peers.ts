/** Who is there, as the tools of the MCP endpoint tell it (spec 2 §7.11). */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, type DirectoryEntry, type WorkspaceId } from '@molecule/contracts';
import type { Directory } from '@molecule/directory';

/** So many are asked for at once; the answer holds as many as fit (D10). */
const AT_ONCE = 500;

/** Siblings (for a root, the other roots), then children, then the parent; by name; nobody who is removed. */
export function peersOf(directory: Pick<Directory, 'get' | 'all' | 'childrenOf'>, self: DirectoryEntry): DirectoryEntry[] {
  const entriesOf = (ids: readonly string[]) => ids.flatMap((id) => directory.get(id) ?? []);
  const { parentId } = self;
  const beside =
    parentId === null
      ? [...directory.all()].filter((entry) => entry.parentId === null)
      : entriesOf(directory.childrenOf(parentId));
  const above = parentId === null ? [] : entriesOf([parentId]);
  const groups = [beside, entriesOf(directory.childrenOf(self.workspaceId)), above];
  const sorted = groups.flatMap((group) => group.toSorted(byName));
  // In a circle somebody may be two of these.
  const unique = new Map(sorted.map((entry) => [entry.workspaceId, entry]));
  unique.delete(self.workspaceId);
  return [...unique.values()].filter(({ status }) => status !== 'removed');
}

const byName = (a: DirectoryEntry, b: DirectoryEntry): number =>
  a.name === b.name ? compare(a.workspaceId, b.workspaceId) : compare(a.name, b.name);
const compare = (a: string, b: string): number => (a < b ? -1 : 1);

/** What these workspaces are there for. An answer holds as many as fit: for the rest it is asked again. */
export async function rolesOf(bus: Bus, ids: readonly WorkspaceId[]): Promise<ReadonlyMap<string, string>> {
  const known = new Map<string, string>();
  let from = 0;
  while (from < ids.length) {
    const asked = ids.slice(from, from + AT_ONCE);
    const { roles } = await ask(bus, asks.registry.roles, { workspaceIds: asked });
    for (const { workspaceId, role } of roles) known.set(workspaceId, role);
    const last = roles.at(-1);
    // Answered in our order: whoever comes after the last one told did not fit, or is not there.
    from += last === undefined ? asked.length : asked.lastIndexOf(last.workspaceId) + 1;
  }
  return known;
}

/** `{id,name,role,status,tier}` */
export const shownWorkspace = ({ workspaceId, name, status, tier }: DirectoryEntry, role: string) => ({
  id: workspaceId,
  name,
  role,
  status,
  tier,
});
