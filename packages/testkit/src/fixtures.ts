/** `it` with the real things: what a test names in its parameters is opened for it, and closed after it. */
import { randomBytes } from 'node:crypto';
import { type Bus, ensureStreams, openBus } from '@molecule/bus';
import pg from 'pg';
import { it as base, inject } from 'vitest';
import { type Docker, dockerState } from './docker.ts';
import { findPromtool, type Promtool } from './promtool.ts';
import { Missing, natsForTest, temporaryDir, testLog } from './servers.ts';

type Skip = (reason: string) => never;

/** In CI what is missing fails the test; elsewhere the test is skipped, and says why. */
async function orSkip<Value>(skip: Skip, open: () => Promise<Value>): Promise<Value> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof Missing) || error.failsRun) throw error;
    process.stderr.write(`skipped: ${error.message}\n`);
    return skip(error.message);
  }
}

export const it = base
  /** A logger, silent unless `TEST_LOG_LEVEL` is set. */
  .extend('log', () => testLog())
  /** The URL of a fresh, empty database, dropped afterwards. */
  .extend('postgresUrl', async ({ task: _ }, { onCleanup }) => {
    const name = `test_${randomBytes(8).toString('hex')}`;
    await asAdmin(`create database ${name}`);
    onCleanup(() => asAdmin(`drop database ${name} with (force)`));
    return Object.assign(new URL(inject('adminDatabaseUrl')), { pathname: `/${name}` }).href;
  })
  /** A nats-server with JetStream and nothing in it, of this test alone; or `TEST_NATS_URL`, as it is. */
  .extend('natsUrl', async ({ skip }, { onCleanup }) => {
    const given = process.env['TEST_NATS_URL'];
    if (given) return given;
    const { dir, remove } = temporaryDir();
    const nats = await orSkip(skip as Skip, () => natsForTest(dir)).catch((error: unknown) => {
      remove();
      throw error;
    });
    onCleanup(async () => {
      await nats.stop();
      remove();
    });
    return nats.url;
  })
  /** A connection to `natsUrl` with all streams made. */
  .extend('bus', async ({ natsUrl, log }, { onCleanup }): Promise<Bus> => {
    const bus = await openBus({ servers: natsUrl, name: 'test', log });
    onCleanup(() => bus.close());
    await ensureStreams(bus);
    return bus;
  })
  /** Prometheus's own judgement of an exposition. */
  .extend('promtool', async ({ skip }): Promise<Promtool> => orSkip(skip as Skip, findPromtool))
  /** A Docker engine that answers. */
  .extend(
    'docker',
    async ({ skip }): Promise<Docker> =>
      orSkip(skip as Skip, async () => {
        const state = await dockerState();
        if (!state.available) throw new Missing(`Docker is needed for this test, and ${state.reason}`);
        return state.docker;
      }),
  );

async function asAdmin(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('adminDatabaseUrl') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
