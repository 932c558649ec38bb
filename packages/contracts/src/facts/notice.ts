/** What canvases are told although it concerns no workspace that there is. Stream `notice.<workspaceId>`. */
import { z } from 'zod';
import { defineFacts, type FactOf } from '../define.ts';
import { WorkspaceId } from '../ids.ts';

export const noticeFacts = defineFacts({
  /** A workspace that never was, was deleted: the answer says `removed`, and so does the event (spec 1 §1.7). */
  'notice.removed': { schema: z.object({ workspaceId: WorkspaceId }), audience: 'all' },
});
export type NoticeFact = FactOf<typeof noticeFacts>;
