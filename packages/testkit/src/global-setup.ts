/** One PostgreSQL for a whole run of vitest; `TEST_DATABASE_URL` names one that is there already. Tests make databases in it. */
import { startPostgres } from '@molecule/embedded-servers';
import type { TestProject } from 'vitest/node';
import { temporaryDir, testLog } from './servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** May create and drop databases. */
    adminDatabaseUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) {
    project.provide('adminDatabaseUrl', given);
    return async () => undefined;
  }
  const { dir, remove } = temporaryDir();
  const postgres = await startPostgres({ dir, log: testLog(), durable: false });
  project.provide('adminDatabaseUrl', postgres.url);
  return async () => {
    await postgres.stop();
    remove();
  };
}
