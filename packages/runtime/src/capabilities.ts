/** What a runtime declares it does itself (spec 4 §9), and how that looks on the wire. */
import type { Capability } from '@molecule/contracts';

export interface RuntimeCapabilities {
  readonly providesNativeHeartbeat: boolean;
  readonly providesNativeScheduler: boolean;
  readonly providesNativeSession: boolean;
  readonly providesNativeStatusMgmt: boolean;
  readonly providesNativeRetry: boolean;
  readonly providesActivityDecoration: boolean;
  readonly providesChannelDispatch: boolean;
}

/** The wire's name of each; the compiler refuses a capability without one. */
const WIRE = {
  heartbeat: 'providesNativeHeartbeat',
  scheduler: 'providesNativeScheduler',
  session: 'providesNativeSession',
  status_mgmt: 'providesNativeStatusMgmt',
  retry: 'providesNativeRetry',
  activity_decoration: 'providesActivityDecoration',
  channel_dispatch: 'providesChannelDispatch',
} as const satisfies Record<Capability, keyof RuntimeCapabilities>;

const NAMES = Object.keys(WIRE) as readonly Capability[];

/** All seven flags, as a beat carries them. */
export const toWire = (capabilities: RuntimeCapabilities): Record<Capability, boolean> =>
  Object.fromEntries(NAMES.map((name) => [name, capabilities[WIRE[name]]])) as Record<Capability, boolean>;

/** An immutable set with the given ones on. Throws a `TypeError` naming those that do not exist, and what does. */
export function declaring(names: readonly string[]): RuntimeCapabilities {
  const unknown = names.filter((name) => !(name in WIRE));
  if (unknown.length > 0) throw new TypeError(`no such capability: ${unknown.join(', ')}; there are: ${NAMES.join(', ')}`);
  const flags = NAMES.map((name) => [WIRE[name], names.includes(name)] as const);
  return Object.freeze(Object.fromEntries(flags)) as unknown as RuntimeCapabilities;
}

export const NO_CAPABILITIES: RuntimeCapabilities = declaring([]);
