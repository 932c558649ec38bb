/** The scheduler, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { fileURLToPath } from 'node:url';
import { BeatFeed, consumeFacts, ensureStreams, openBus, publishFacts, RequestServer } from '@molecule/bus';
import { RuntimeCapabilities } from '@molecule/capabilities';
import { ask, type ServiceHealth, subjects } from '@molecule/contracts';
import { Directory } from '@molecule/directory';
import { openLedger, startRelay, whileLeading } from '@molecule/event-store';
import { createListener, listen, type RunningService, ServiceClient } from '@molecule/http';
import { type Basics, evaluateHealth, type Scope, startOpsServer } from '@molecule/service';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import type { Parts } from './parts.ts';
import { scheduleList } from './schedule/projections/schedule-list.ts';
import { disableFor, serveScheduleRequests } from './schedule/requests.ts';
import { scheduleRoutes } from './schedule/routes.ts';
import { Runner, type TickOptions } from './schedule/tick.ts';
import { giveUpLease, RENEW_EVERY_MS, renewLease } from './workers.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/scheduler', import.meta.url));
/** `/admin/liveness` must see `scheduler` move at least this often, also while long runs are out (spec 2 §6.4). */
const PULSE_MS = 10_000;
