/** The public surface of @molecule/embedded-servers: the servers that Molecule brings along. What is not named here is private. */
export { type FoundNats, findNatsServer, NatsServerMissing, type WhereToLook } from './find-nats.ts';
export { type EmbeddedNats, type NatsOptions, startNats } from './nats.ts';
export { freePort } from './ports.ts';
export { type PostgresOptions, startPostgres } from './postgres.ts';
export { endProcess, isAlive, markOf, type ProcessMark, readMark } from './process-mark.ts';
export type { EmbeddedServer } from './supervised.ts';
