import { waitFor, withPostgres, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aGateway, beat, Others, startRegistry } from './fixtures.ts';

describe('without its database', () => {
  withServers(
    'the registry says so, keeps hearing beats, and recovers by itself',
    async ({ natsUrl, log, bus, onTestFinished }) => {
      const postgres = await withPostgres();
      onTestFinished(() => postgres.dispose());
      const others = new Others(bus, log);
      const registry = await startRegistry({ postgresUrl: postgres.url, natsUrl, log });
      const gateway = aGateway(bus);
      const id = await registry.create();
      beat(gateway, id);
      expect(await registry.status(id, gateway)).toBe('online');

      await postgres.stop();
      const unavailable = {
        status: 503,
        body: { error: 'platform datastore unavailable — retry shortly', code: 'platform_unavailable' },
      };
      expect(await registry.call('GET', '/workspaces')).toMatchObject(unavailable);
      expect(await registry.call('POST', '/workspaces', { body: { name: 'b' } })).toMatchObject(unavailable);
      expect(await registry.call('DELETE', `/workspaces/${id}`)).toMatchObject(unavailable);
      expect(await registry.register(id)).toMatchObject(unavailable);
      expect(await registry.call('GET', `/registry/${id}/peers`)).toMatchObject(unavailable);
      beat(gateway, id, { active_tasks: 4, error_rate: 0.9 });

      await postgres.start();
      await waitFor(async () => (await registry.call('GET', `/workspaces/${id}`)).status === 200);
      beat(gateway, id, { active_tasks: 5, error_rate: 0.9 });
      expect((await registry.call('GET', `/workspaces/${id}`, { after: gateway })).body).toMatchObject({
        status: 'degraded',
        active_tasks: 5,
      });
      await registry.scope.close();
      await others.close();
    },
  );
});
