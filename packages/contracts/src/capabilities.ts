/** What a runtime may declare it does itself (spec 1 §3.4). To add one: a name here, a row below, and the decision that heeds it. */
import { z } from 'zod';

export const Capability = z.enum([
  'heartbeat',
  'scheduler',
  'session',
  'status_mgmt',
  'retry',
  'activity_decoration',
  'channel_dispatch',
]);
export type Capability = z.infer<typeof Capability>;

/** The compiler refuses a capability that has no row. */
export const CAPABILITIES = {
  heartbeat: { title: 'Beats by itself', effect: 'declaration only' },
  scheduler: { title: 'Runs its own schedules', effect: 'the platform skips its cron, and still advances it' },
  session: { title: 'Queues its own messages', effect: 'busy answers 503 native_session instead of queueing' },
  status_mgmt: { title: 'Judges its own health', effect: 'the error rate no longer moves its status' },
  retry: { title: 'Retries by itself', effect: 'declaration only' },
  activity_decoration: { title: 'Decorates its activity', effect: 'declaration only' },
  channel_dispatch: { title: 'Dispatches to channels', effect: 'declaration only' },
} as const satisfies Record<Capability, { title: string; effect: string }>;

export type CapabilitySet = ReadonlySet<Capability>;

/** The declared flags that are true and known; everything else is dropped. */
export const capabilitySet = (declared: Readonly<Record<string, unknown>> | null | undefined): CapabilitySet =>
  new Set(Capability.options.filter((name) => declared?.[name] === true));
