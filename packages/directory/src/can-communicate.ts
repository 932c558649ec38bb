/** Who may talk to whom (spec 1 §5): oneself, siblings, roots among each other, and along one's own line up and down. */

export type ParentLookup = (workspaceId: string) => { readonly parentId: string | null } | undefined;

/** Ancestors are looked for no farther up than this (spec 1 §5). */
export const MAX_HOPS = 32;

/** Evaluated in the order of spec 1 §5; the first that is true wins. The status does not matter. */
export function canCommunicate(lookup: ParentLookup, caller: string, target: string): boolean {
  if (caller === target) return true;
  const from = lookup(caller);
  const to = lookup(target);
  if (!from || !to) return false;
  if (from.parentId === to.parentId) return true; // siblings, or two roots
  if (from.parentId === target || to.parentId === caller) return true;
  return isAncestor(lookup, caller, to.parentId) || isAncestor(lookup, target, from.parentId);
}

/** Whether `ancestor` is met on the way up that begins with `parentId`, which is the first hop. */
function isAncestor(lookup: ParentLookup, ancestor: string, parentId: string | null): boolean {
  let current = parentId;
  for (let hop = 1; hop <= MAX_HOPS && current !== null; hop++) {
    if (current === ancestor) return true;
    const entry = lookup(current);
    if (!entry) return false;
    current = entry.parentId;
  }
  return false;
}
