/** What a program that is not a test may use, too: nothing here needs a running vitest (the bench drives a cluster with it). */
export { freePort } from '@molecule/embedded-servers';
export { type WaitOptions, waitFor } from './wait-for.ts';
