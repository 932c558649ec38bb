import { randomUUID } from 'node:crypto';
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

/** What the routes need beside a path to get as far as the datastore. */
const BODIES: Readonly<Record<string, object>> = {
  'POST /workspaces': { name: 'b' },
  'PATCH /workspaces/:id': { name: 'b' },
  'POST /registry/register': { id: randomUUID(), url: 'http://localhost:8001', agent_card: {} },
  'POST /registry/update-card': { workspace_id: randomUUID(), agent_card: {} },
  'POST /registry/check-access': { caller_id: randomUUID(), target_id: randomUUID() },
};

/** Routes for which the spec says otherwise: what is never an error (§1.10), and a door that fails shut with a text of its own (§1.6). */
const OTHERWISE: Readonly<Record<string, readonly [number, string]>> = {
  'GET /canvas/viewport': [200, '{"x":0,"y":0,"zoom":1}'],
  'GET /workspaces/:id/state': [500, '{"error":"auth check failed"}'],
};

describe('the 503 contract (spec 1 §4.9)', () => {
  withServers(
    'holds for every route: without the datastore nobody is let in',
    { timeout: 60_000 },
    async ({ natsUrl, log, bus: _, onTestFinished }) => {
      const postgres = await withPostgres();
      onTestFinished(() => postgres.dispose());
      const registry = await startRegistry({ postgresUrl: postgres.url, natsUrl, log });
      onTestFinished(() => registry.scope.close());
      await postgres.stop();
      const session = { kind: 'canvas', id: randomUUID() } as const;
      const outcomes: Record<string, unknown> = {};
      for (const { method, path } of registry.service.http.routes()) {
        const route = `${method} ${path}`;
        const body = BODIES[route];
        const concrete = path.replaceAll(/:\w+/g, () => randomUUID());
        const answer = await registry.call(method, concrete, {
          headers: { 'x-workspace-id': randomUUID() },
          principal: { session },
          ...(body && { body }),
        });
        // A body that is refused before the datastore is asked lets nobody in either; give it one in BODIES, and it is compared.
        if (answer.status !== 400) outcomes[route] = [answer.status, answer.text];
      }
      expect(Object.keys(outcomes)).toEqual(expect.arrayContaining(Object.keys(BODIES)));
      const unavailable = [503, '{"error":"platform datastore unavailable — retry shortly","code":"platform_unavailable"}'];
      expect(outcomes).toEqual(
        Object.fromEntries(Object.keys(outcomes).map((route) => [route, OTHERWISE[route] ?? unavailable])),
      );
    },
  );
});
