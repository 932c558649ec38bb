/** Reads a beat off the bus. The gateway checked it when it came in, so this is by hand: the full schema costs ten times as much. */
import type { Beat } from '@molecule/contracts';

/** `undefined` for what is no beat; never throws. */
export function parseBeat(text: string): Beat | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isBeat(value) ? value : undefined;
}

const isBeat = (value: unknown): value is Beat => {
  if (typeof value !== 'object' || value === null) return false;
  const beat = value as Record<keyof Beat, unknown>;
  return (
    typeof beat.workspaceId === 'string' &&
    beat.workspaceId.length === 36 &&
    Number.isFinite(beat.receivedAt) &&
    typeof beat.gateway === 'string' &&
    Number.isInteger(beat.seq) &&
    Number.isFinite(beat.errorRate) &&
    typeof beat.sampleError === 'string' &&
    Number.isInteger(beat.activeTasks) &&
    Number.isInteger(beat.uptimeSeconds) &&
    typeof beat.currentTask === 'string' &&
    Number.isInteger(beat.monthlySpend) &&
    typeof beat.runtimeState === 'string' &&
    (beat.runtimeMetadata === undefined || isMetadata(beat.runtimeMetadata))
  );
};

const isMetadata = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { capabilities, idle_timeout_seconds: idle } = value as { capabilities?: unknown; idle_timeout_seconds?: unknown };
  if (idle !== undefined && idle !== null && !Number.isInteger(idle)) return false;
  if (capabilities === undefined || capabilities === null) return true;
  if (typeof capabilities !== 'object' || Array.isArray(capabilities)) return false;
  for (const declared of Object.values(capabilities)) if (typeof declared !== 'boolean') return false;
  return true;
};
