/** A runtime's beat: as it arrives over HTTP (spec 1 §3.3), and as it travels over the bus (D6). */
import { z } from 'zod';
import { WorkspaceId } from './ids.ts';

const MAX_SPEND_CENTS = 1_000_000_000_000;

/** `null` in an optional scalar means absent (spec 1 §0). */
const orDefault = <Schema extends z.ZodType>(schema: Schema, fallback: z.infer<Schema>) =>
  schema.nullish().transform((value) => value ?? fallback);

/** What an agent says of itself is kept up to here: it becomes part of facts, which are small. As spec 1 §1.11 cuts an error. */
const MAX_SAID_BYTES = 8192;

/** Cut on a character boundary. */
const clipped = z.string().transform((text) => {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_SAID_BYTES ? text : new TextDecoder().decode(bytes.subarray(0, MAX_SAID_BYTES), { stream: true });
});

export const RuntimeMetadata = z.object({
  capabilities: z.record(z.string(), z.boolean()).nullish(),
  idle_timeout_seconds: z.number().int().nullish(),
});
export type RuntimeMetadata = z.infer<typeof RuntimeMetadata>;

export const HeartbeatBody = z.object({
  workspace_id: z.string().min(1),
  error_rate: orDefault(z.number(), 0),
  sample_error: orDefault(clipped, ''),
  active_tasks: orDefault(z.number().int(), 0),
  uptime_seconds: orDefault(z.number().int(), 0),
  current_task: orDefault(clipped, ''),
  /** US cents; 0 leaves the stored value. */
  monthly_spend: orDefault(
    z
      .number()
      .int()
      .transform((cents) => Math.min(Math.max(cents, 0), MAX_SPEND_CENTS)),
    0,
  ),
  runtime_state: orDefault(clipped, ''),
  /** Absent says nothing about capabilities; present replaces them (spec README, choice 2). */
  runtime_metadata: RuntimeMetadata.nullish().transform((value) => value ?? undefined),
});
export type HeartbeatBody = z.infer<typeof HeartbeatBody>;

/** `heartbeat.<workspaceId>`: an accepted beat, stamped by the gateway that accepted it. */
export const Beat = z.object({
  workspaceId: WorkspaceId,
  /** Milliseconds since the epoch, the accepting gateway's clock. */
  receivedAt: z.number(),
  /** Which gateway process accepted it, and the how-manieth of that process it is: a reader can know that it missed none. */
  gateway: z.string(),
  seq: z.number().int(),
  errorRate: z.number(),
  sampleError: z.string(),
  activeTasks: z.number().int(),
  uptimeSeconds: z.number().int(),
  currentTask: z.string(),
  monthlySpend: z.number().int(),
  runtimeState: z.string(),
  runtimeMetadata: RuntimeMetadata.optional(),
});
export type Beat = z.infer<typeof Beat>;

/** How far one gateway had got when it passed a request on: readers of beats catch up to here before they answer. */
export interface BeatMark {
  readonly gateway: string;
  readonly seq: number;
}
