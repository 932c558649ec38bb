/** How all services are, put together from what each says of itself. */
import { SERVICES, type ServiceHealth, type ServiceName } from '@molecule/contracts';
import type { Parts } from './parts.ts';

/** One entry for each service, in their order; who does not answer is not ready, and says so. */
export const everyHealth = ({ healthOf, log }: Pick<Parts, 'healthOf' | 'log'>): Promise<ServiceHealth[]> =>
  Promise.all(
    SERVICES.map((service) =>
      healthOf(service).catch((error: unknown) => {
        log.debug({ err: error, asked: service }, 'a service did not say how it is');
        return silent(service);
      }),
    ),
  );

const silent = (service: ServiceName): ServiceHealth => ({
  service,
  instance: '',
  ready: false,
  checks: { answer: { ok: false, detail: 'the service does not answer' } },
  loops: {},
});

export interface Tick {
  readonly last_tick_at: string;
  readonly seconds_ago: number;
}

/**
 * Every loop that ticked at least once (spec 1 §7). It goes by its own name; loops that share one are told apart by their
 * service: `registry.relay`, `scheduler.relay`.
 */
export function mergedLiveness(health: readonly ServiceHealth[], now: Date): Record<string, Tick> {
  const all = health.flatMap(({ service, loops }) =>
    Object.entries(loops).flatMap(([loop, { lastTickAt, ticked }]) => (ticked === false ? [] : [{ service, loop, lastTickAt }])),
  );
  const uses = Map.groupBy(all, ({ loop }) => loop);
  return Object.fromEntries(
    all.map(({ service, loop, lastTickAt }) => [
      (uses.get(loop)?.length ?? 0) > 1 ? `${service}.${loop}` : loop,
      { last_tick_at: lastTickAt, seconds_ago: Math.max(0, Math.floor((now.getTime() - Date.parse(lastTickAt)) / 1000)) },
    ]),
  );
}
