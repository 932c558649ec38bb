/** Beats for this package's tests. */
import type { Beat, WorkspaceId } from '@molecule/contracts';

export const workspaceId = '00000000-0000-4000-8000-000000000001' as WorkspaceId;

let seq = 0;

export const aBeat = (more: Partial<Beat> = {}): Beat => ({
  workspaceId,
  receivedAt: 1_000,
  gateway: 'gateway-1',
  seq: ++seq,
  errorRate: 0,
  sampleError: '',
  activeTasks: 0,
  uptimeSeconds: 1,
  currentTask: '',
  monthlySpend: 0,
  runtimeState: '',
  ...more,
});
