/** The gap as an event, told to one client. */
import type { CanvasEvent, GapPayload } from '@molecule/contracts';

export const gapEvent = (payload: GapPayload, at: Date): CanvasEvent => ({
  event: 'GAP',
  workspace_id: '',
  timestamp: at.toISOString(),
  payload,
});
