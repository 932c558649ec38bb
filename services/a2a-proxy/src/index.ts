/** The public surface of @molecule/a2a-proxy: what a process needs to run it. */
export { Config } from './config.ts';
export { createA2aProxy } from './service.ts';
