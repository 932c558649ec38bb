/** The public surface of @molecule/service: what every service is made of. What is not named here is private to the package. */

export { Counter, Gauge, Histogram } from 'prom-client';
export { type Basics, type BasicsOptions, createBasics } from './basics.ts';
export { ConfigError, configPieces, LOG_LEVELS, type LogLevel, type Mode, modeOf, readConfig } from './config.ts';
export { EXPOSITION_TYPE, exposition } from './exposition.ts';
export { exposeCounter, exposeCounters, exposeGauge, type Figure } from './figures.ts';
export { type Admission, FixedWindows } from './fixed-windows.ts';
export { Gate } from './gate.ts';
export { evaluateHealth, type HealthCheck, type HealthResult, type OpsServerOptions, startOpsServer } from './health.ts';
export { bind, CannotListen } from './listening.ts';
export { createLog, type Log, type LogOptions } from './log.ts';
export { type Loop, type LoopSnapshot, Loops } from './loops.ts';
export { type RunOptions, run } from './run.ts';
export { runService } from './run-service.ts';
export { Scope } from './scope.ts';
export { TenantSource, withTenantSettings } from './tenant-settings.ts';
export { derivedId, firstBytes } from './text.ts';
export { backoff, type Clock, newId, sleep, systemClock } from './time.ts';
export { type PastSpan, readTraceparent, recordSpan } from './tracing.ts';
