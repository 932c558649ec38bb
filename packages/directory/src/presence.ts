/** How directories and barriers talk: who is there, and who has applied what (I4). */
import { z } from 'zod';

/** `directory.presence`. */
export const Presence = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('here'), instance: z.string().min(1), service: z.string() }),
  z.object({ kind: z.literal('bye'), instance: z.string().min(1) }),
]);
export type Presence = z.infer<typeof Presence>;

/** `directory.barrier`. */
export const BarrierRequest = z.discriminatedUnion('kind', [
  /** Answer to the reply subject once this version of the workspace is applied. */
  z.object({ kind: z.literal('applied'), workspaceId: z.string().min(1), version: z.number().int() }),
  /** Whoever is there, say so. */
  z.object({ kind: z.literal('who') }),
]);
export type BarrierRequest = z.infer<typeof BarrierRequest>;

export const BarrierReply = z.object({ instance: z.string().min(1) });

export const PRESENCE_EVERY_MS = 2_000;
/** Three missed in a row: gone. */
export const FORGOTTEN_AFTER_MS = 3 * PRESENCE_EVERY_MS + 500;

/** What a message says, or `undefined` if it cannot be read. */
export function read<Schema extends z.ZodType>(schema: Schema, text: string): z.infer<Schema> | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
