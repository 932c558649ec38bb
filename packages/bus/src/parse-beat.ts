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

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** In lower case, as ids are. */
export const isGuid = (text: string): boolean => GUID.test(text);

const isBeat = (value: unknown): value is Beat => {
  if (typeof value !== 'object' || value === null) return false;
  const beat = value as Record<keyof Beat, unknown>;
  return (
    typeof beat.workspaceId === 'string' &&
    isGuid(beat.workspaceId) &&
    Number.isFinite(beat.receivedAt) &&
    typeof beat.gateway === 'string' &&
    Number.isSafeInteger(beat.seq) &&
    Number.isFinite(beat.errorRate) &&
    typeof beat.sampleError === 'string' &&
    Number.isSafeInteger(beat.activeTasks) &&
    Number.isSafeInteger(beat.uptimeSeconds) &&
    typeof beat.currentTask === 'string' &&
    Number.isSafeInteger(beat.monthlySpend) &&
    typeof beat.runtimeState === 'string' &&
    (beat.runtimeMetadata === undefined || isMetadata(beat.runtimeMetadata))
  );
};

const isMetadata = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { capabilities, idle_timeout_seconds: idle } = value as { capabilities?: unknown; idle_timeout_seconds?: unknown };
  if (idle !== undefined && idle !== null && !Number.isSafeInteger(idle)) return false;
  if (capabilities === undefined || capabilities === null) return true;
  if (typeof capabilities !== 'object' || Array.isArray(capabilities)) return false;
  for (const declared of Object.values(capabilities)) if (typeof declared !== 'boolean') return false;
  return true;
};
