/** The public surface of the registry: what an all-in-one process composes it from. */
export { Config } from './config.ts';
export { createRegistry } from './service.ts';
