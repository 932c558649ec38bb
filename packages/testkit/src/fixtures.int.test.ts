/** The fixtures give what they promise: something fresh, and real. */
import pg from 'pg';
import { describe, expect } from 'vitest';
import { it } from './fixtures.ts';

const query = async (url: string, text: string) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
};

describe('postgresUrl', () => {
  for (const time of ['once', 'again']) {
    it(`is an empty database of a recent PostgreSQL, ${time}`, async ({ postgresUrl }) => {
      const [version] = await query(postgresUrl, 'show server_version');
      expect(version?.['server_version']).toMatch(/^1[89]/);
      await query(postgresUrl, 'create table left_behind ()');
    });
  }
});

describe('bus', () => {
  it('is connected to a server that has the three streams and no message', async ({ bus }) => {
    const streams = await bus.jsm.streams.list().next();
    expect(streams.map(({ config, state }) => [config.name, state.messages]).sort()).toEqual([
      ['FACTS', 0],
      ['HEARTBEATS', 0],
      ['PARKED', 0],
    ]);
  });
});

describe('docker', () => {
  it('is an engine that answers', async ({ docker }) => {
    expect((await docker.version()).ApiVersion).toMatch(/^1\./);
  });
});
