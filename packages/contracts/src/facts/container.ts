/** What the provisioner says. Stream `container.<workspaceId>`. All texts are canned: no engine error leaves the service (spec 3 §1.11). */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { WorkspaceId } from '../ids.ts';
import { StartOptions } from './workspace.ts';

export const BackendName = z.enum(['docker', 'process', 'none']);
export type BackendName = z.infer<typeof BackendName>;

export const containerFacts = defineFacts({
  /** A start was taken on; `run` counts the starts of this workspace and fences late results. */
  'container.starting': {
    schema: z.object({
      workspaceId: WorkspaceId,
      run: z.number().int(),
      backend: BackendName,
      /** How it differs from an ordinary start: kept with it, for whoever takes it over. */
      start: StartOptions.optional(),
    }),
    audience: 'owner',
  },
  'container.started': {
    schema: z.object({ workspaceId: WorkspaceId, run: z.number().int(), url: z.string(), backend: BackendName }),
    audience: 'all',
  },
  'container.exited': { schema: z.object({ workspaceId: WorkspaceId, run: z.number().int() }), audience: 'all' },
  'container.stopped': { schema: z.object({ workspaceId: WorkspaceId, volumeRemoved: z.boolean() }), audience: 'all' },
  'provision.failed': {
    schema: z.object({
      workspaceId: WorkspaceId,
      run: z.number().int(),
      /** One of the canned texts of spec 3 §1.11. */
      error: z.string(),
      /** What `last_sample_error` becomes; `null` leaves it. */
      sampleError: z.string().nullable(),
      missing: z.array(z.string()).optional(),
    }),
    audience: 'all',
  },
});
export type ContainerFact = FactOf<typeof containerFacts>;
export type RecordedContainerFact = RecordedFactOf<typeof containerFacts>;
