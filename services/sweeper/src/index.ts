/** The public surface of the sweeper: what an all-in-one process composes it from. */
export { Config } from './config.ts';
export { createSweeper } from './service.ts';
