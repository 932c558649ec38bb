/** The routes that the gateway answers itself (spec 1 §7, and our own additions under `/admin`). */
import { isBusUnavailable, type Parked } from '@molecule/bus';
import { type LedgerService, platformUnavailable, Refusal, SCHEMAS } from '@molecule/contracts';
import { auth, defineAuth, json, serviceApp, type WithContext } from '@molecule/http';
import type { Context } from 'hono';
import { everyHealth, mergedLiveness } from './liveness.ts';
import type { Parts } from './parts.ts';

export const gatewayRoutes = (parts: Parts) =>
  serviceApp(parts.log)
    .get('/health', auth.none, (c) => json(c, { status: 'ok' }))

    .get('/metrics', parts.production ? auth.admin : auth.none, async (c) =>
      c.body(await parts.metrics.metrics(), 200, { 'content-type': parts.metrics.contentType }),
    )

    .get('/admin/liveness', auth.admin, async (c) =>
      json(c, { subsystems: mergedLiveness(await everyHealth(parts), parts.clock.now()) }),
    )

    .get('/admin/health', auth.admin, async (c) => json(c, await everyHealth(parts)))

    .post('/admin/rebuild', auth.admin, async (c) => {
      const check = isOn(c.req.query('check'));
      const outcomes = await Promise.all(chosenServices(c).map((service) => rebuilt(parts, service, check)));
      const reports = outcomes.filter((outcome) => 'facts' in outcome);
      const failed = outcomes.filter((outcome) => 'error' in outcome);
      return json(c, { check, reports, failed });
    })

    .get('/admin/parked', auth.admin, async (c) => json(c, { parked: (await answered(parts.parked())).map(shown) }))

    .post('/admin/parked/redrive', auth.admin, async (c) => {
      const seq = Number(c.req.query('seq'));
      if (!Number.isSafeInteger(seq) || seq < 1) throw new Refusal('invalid', 'seq must be a number of the list of parked facts');
      if (!(await answered(parts.redrive(seq)))) throw new Refusal('not-found', 'not parked');
      parts.log.info({ sequence: seq }, 'a parked fact is given again');
      return json(c, { redriven: seq });
    })

    // Who comes here did not ask for a socket.
    .get('/ws', socket, (c) => c.body('Bad Request', 400, { 'content-type': 'text/plain; charset=utf-8' }));

/** Judged before the upgrade, see ws/door.ts. */
const socket = defineAuth('socket', () => null);

const isOn = (flag: string | undefined): boolean => flag !== undefined && ['1', 't', 'true'].includes(flag.toLowerCase());

/** Without the body: what it says is for the service alone (I10). */
const shown = ({ sequence, consumer, error, parkedAt, origin: { stream, sequence: place, subject } }: Parked) => ({
  seq: sequence,
  consumer,
  type: subject.slice(0, Math.max(subject.lastIndexOf('.'), 0)),
  error,
  origin: { stream, sequence: place, subject },
  at: parkedAt,
});

/** @throws Refusal when the bus does not answer now */
const answered = <R>(asking: Promise<R>): Promise<R> =>
  asking.catch((error: unknown) => {
    throw isBusUnavailable(error) ? platformUnavailable(error) : error;
  });

const LEDGER_SERVICES = Object.keys(SCHEMAS) as LedgerService[];

function chosenServices(c: Context<WithContext>): readonly LedgerService[] {
  const wanted = c.req.query('service');
  if (wanted === undefined) return LEDGER_SERVICES;
  const service = LEDGER_SERVICES.find((name) => name === wanted);
  if (service === undefined) throw new Refusal('invalid', `service must be one of ${LEDGER_SERVICES.join(', ')}`);
  return [service];
}

/** A service that cannot is named, and keeps the others' reports from nobody. */
async function rebuilt({ rebuild, log }: Parts, service: LedgerService, check: boolean) {
  try {
    return await rebuild(service, check);
  } catch (error) {
    log.warn({ err: error, rebuilding: service }, 'a service did not rebuild');
    return { service, error: error instanceof Error ? error.message : 'it failed' };
  }
}
