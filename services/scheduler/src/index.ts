/** The public surface of the scheduler: what an all-in-one process composes it from. */
export { Config } from './config.ts';
export { createScheduler } from './service.ts';
