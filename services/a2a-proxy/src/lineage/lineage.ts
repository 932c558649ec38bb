/**
 * Which call led to which, and whether one more may be made. Pure.
 *
 *   J1. Nothing that an agent says counts: the parent of a call is a call to its caller that is open, by the proxy's own records.
 *   J2. A call is refused as a circle only if each call that may have led to it has its target on the way; else the deepest of those
 *       that have not is its parent.
 *   J3. A workspace that calls itself goes on with what it is doing: no step further, and never a circle.
 *   J4. Where no call is open at the caller, a new beginning is made: it acts of its own accord.
 */
import type { Lineage, MessageId, WorkspaceId } from '@molecule/contracts';

/** A call in flight: to whom, and what led to it. Without a lineage a person or the platform made it. */
export interface OpenCall {
  readonly messageId: MessageId;
  readonly workspaceId: WorkspaceId;
  readonly lineage?: Lineage | undefined;
}

export interface NewCall {
  readonly messageId: MessageId;
  readonly callerId: WorkspaceId;
  readonly targetId: WorkspaceId;
}

export type Judgement =
  | { readonly lineage: Lineage | undefined }
  /** `chain`: from the beginning to the target that was refused. */
  | { readonly refused: 'cycle' | 'depth'; readonly chain: readonly WorkspaceId[] };

/** The workspaces from the beginning to the one that was called. */
const wayOf = ({ workspaceId, lineage }: OpenCall): WorkspaceId[] => {
  const ancestors = lineage?.ancestors ?? [];
  return [...ancestors, workspaceId];
};

const depthOf = ({ lineage }: OpenCall): number => lineage?.depth ?? 0;
const rootOf = ({ messageId, lineage }: OpenCall): MessageId => lineage?.rootId ?? messageId;

/** Of several equally deep ones, the latest. */
const deepest = (calls: readonly OpenCall[]): OpenCall | undefined =>
  calls.reduce<OpenCall | undefined>((best, call) => (best && depthOf(best) > depthOf(call) ? best : call), undefined);

/** The call among those open at the caller that is taken to have led to a call to `targetId` (J2): one that is no circle, if there is. */
export const originOf = (open: readonly OpenCall[], targetId: WorkspaceId): OpenCall | undefined =>
  deepest(open.filter((call) => !wayOf(call).includes(targetId))) ?? deepest(open);

/** `open`: the calls to the caller that are in flight. */
export function judge({ messageId, callerId, targetId }: NewCall, open: readonly OpenCall[], maxDepth: number): Judgement {
  if (callerId === targetId) {
    const parent = deepest(open); // J3
    if (!parent) return { lineage: undefined };
    const { depth, ancestors } = parent.lineage ?? { depth: 0, ancestors: [] };
    return { lineage: { rootId: rootOf(parent), parentId: parent.messageId, depth, ancestors } };
  }
  const parent = originOf(open, targetId);
  if (!parent) return { lineage: { rootId: messageId, parentId: null, depth: 1, ancestors: [callerId] } }; // J4
  const ancestors = wayOf(parent);
  const chain = [...ancestors, targetId];
  if (ancestors.includes(targetId)) return { refused: 'cycle', chain };
  const depth = depthOf(parent) + 1;
  if (depth > maxDepth) return { refused: 'depth', chain };
  return { lineage: { rootId: rootOf(parent), parentId: parent.messageId, depth, ancestors } };
}
