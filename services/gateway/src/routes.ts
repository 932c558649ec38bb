/** The routes that the gateway answers itself (spec 1 §7, and our own additions under `/admin`). */
import { isBusUnavailable, type Parked } from '@molecule/bus';
import { type LedgerService, platformUnavailable, RebuildReport, Refusal, SCHEMAS, ServiceHealth } from '@molecule/contracts';
import { auth, defineAuth, doc, json, serviceApp, type WithContext } from '@molecule/http';
import { EXPOSITION_TYPE, exposition } from '@molecule/service';
import type { Context } from 'hono';
import { z } from 'zod';
import { everyHealth, mergedLiveness } from './liveness.ts';
import type { Parts } from './parts.ts';
import { referenceRoutes } from './reference/routes.ts';

const LEDGER_SERVICES = Object.keys(SCHEMAS) as LedgerService[];
const NO_SERVICE = `service must be one of ${LEDGER_SERVICES.join(', ')}`;
const NO_SEQ = 'seq must be a number of the list of parked facts';

const ParkedFact = z
  .object({
    seq: z.int(),
    consumer: z.string().describe('The service that could not.'),
    type: z.string(),
    error: z.string(),
    origin: z.object({ stream: z.string(), sequence: z.int(), subject: z.string() }),
    at: z.string(),
  })
  .meta({ id: 'ParkedFact' });

const docs = {
  health: doc({
    summary: 'Say that the gateway is there',
    description: 'Static: depends on nothing.',
    source: 'spec 1 §7',
    answers: { 200: { description: 'It is.', body: z.object({ status: z.literal('ok') }) } },
  }),
  metrics: doc({
    summary: 'Show the figures of this gateway, for Prometheus',
    description: 'In production for operators alone.',
    source: 'spec 1 §7',
    answers: { 200: { description: 'Prometheus text.', body: 'text/plain' } },
  }),
  liveness: doc({
    summary: 'Show when each loop of each service last moved',
    source: 'spec 1 §7',
    answers: {
      200: {
        description: 'The loops that have moved at least once.',
        body: z.object({
          subsystems: z.record(z.string(), z.object({ last_tick_at: z.iso.datetime(), seconds_ago: z.int() })),
        }),
      },
    },
  }),
  everyHealth: doc({
    summary: 'Show how every service is',
    source: 'addition',
    answers: {
      200: { description: 'One element for each service; one that does not answer is not ready.', body: z.array(ServiceHealth) },
    },
  }),
  rebuild: doc({
    summary: 'Build the read models anew from the log, and compare or mend them',
    source: 'addition',
    query: z.object({
      check: z.string().optional().describe('`1`, `t` or `true`: compare only.'),
      service: z.enum(LEDGER_SERVICES).optional().describe('Only this one; else all of them.'),
    }),
    answers: {
      200: {
        description: 'What differed; a service that could not is named among `failed`.',
        body: z.object({
          check: z.boolean(),
          reports: z.array(RebuildReport),
          failed: z.array(z.object({ service: z.string(), error: z.string() })),
        }),
      },
    },
    refusals: [['invalid', NO_SERVICE]],
  }),
  parked: doc({
    summary: 'List what services could not digest',
    source: 'addition',
    answers: { 200: { description: 'The newest first, 100 at most.', body: z.object({ parked: z.array(ParkedFact) }) } },
  }),
  redrive: doc({
    summary: 'Give a parked fact once more to the service that had set it aside',
    source: 'addition',
    query: z.object({ seq: z.int().describe('Its `seq` in the list.') }),
    answers: { 200: { description: 'Given again.', body: z.object({ redriven: z.int() }) } },
    refusals: [
      ['invalid', NO_SEQ],
      ['not-found', 'not parked'],
    ],
  }),
  socket: doc({
    summary: 'Open the socket of events',
    description: 'What is told there stands in the AsyncAPI document.',
    source: 'spec 1 §6.2',
    headers: { 'X-Workspace-ID': 'Who listens; without it, a canvas.' },
    query: z.object({
      since: z.string().optional().describe('The `seq` of the last frame that was heard: what was missed since is told first'),
    }),
    answers: {
      101: { description: 'Upgraded to a WebSocket.' },
      400: { description: 'The request did not ask for an upgrade.', body: 'text/plain' },
    },
  }),
} as const;

export const gatewayRoutes = (parts: Parts) =>
  serviceApp(parts.log)
    .get('/health', docs.health, auth.none, (c) => json(c, { status: 'ok' }))

    .get('/metrics', docs.metrics, parts.production ? auth.admin : auth.none, async (c) =>
      c.body(await exposition(parts.registries), 200, { 'content-type': EXPOSITION_TYPE }),
    )

    .get('/admin/liveness', docs.liveness, auth.admin, async (c) =>
      json(c, { subsystems: mergedLiveness(await everyHealth(parts), parts.clock.now()) }),
    )

    .get('/admin/health', docs.everyHealth, auth.admin, async (c) => json(c, await everyHealth(parts)))

    .post('/admin/rebuild', docs.rebuild, auth.admin, async (c) => {
      const check = isOn(c.req.query('check'));
      const outcomes = await Promise.all(chosenServices(c).map((service) => rebuilt(parts, service, check)));
      const reports = outcomes.filter((outcome) => 'facts' in outcome);
      const failed = outcomes.filter((outcome) => 'error' in outcome);
      return json(c, { check, reports, failed });
    })

    .get('/admin/parked', docs.parked, auth.admin, async (c) => json(c, { parked: (await answered(parts.parked())).map(shown) }))

    .post('/admin/parked/redrive', docs.redrive, auth.admin, async (c) => {
      const seq = Number(c.req.query('seq'));
      if (!Number.isSafeInteger(seq) || seq < 1) throw new Refusal('invalid', NO_SEQ);
      if (!(await answered(parts.redrive(seq)))) throw new Refusal('not-found', 'not parked');
      parts.log.info({ sequence: seq }, 'a parked fact is given again');
      return json(c, { redriven: seq });
    })

    // Who comes here did not ask for a socket.
    .get('/ws', docs.socket, socket, (c) => c.body('Bad Request', 400, { 'content-type': 'text/plain; charset=utf-8' }))

    .route('/', referenceRoutes(parts.reference));

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

function chosenServices(c: Context<WithContext>): readonly LedgerService[] {
  const wanted = c.req.query('service');
  if (wanted === undefined) return LEDGER_SERVICES;
  const service = LEDGER_SERVICES.find((name) => name === wanted);
  if (service === undefined) throw new Refusal('invalid', NO_SERVICE);
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
