/** What gateways tell the registry, over a real bus (spec 1 §4.7, design §7). */
import { DenialReport, subjects, TokenUses as Uses } from '@molecule/contracts';
import { manualClock, waitFor } from '@molecule/testkit';
import { expect } from 'vitest';
import { bearer, call, it } from '../testing/world.ts';
import { Denials, tellDenials } from './denials.ts';

it('tells which tokens opened a door, of workspaces and of the organisation, and none that opened none', {
  timeout: 20_000,
}, async ({ world, bus }) => {
  const mine = await world.registry.enrol();
  const other = await world.registry.enrol();
  const unused = await world.registry.enrol();
  const org = await world.registry.orgToken();
  const told: Uses = [];
  bus.nats.subscribe(subjects.tokenUses, { callback: (_, message) => void told.push(...Uses.parse(message.json())) });
  const registry = (request: { headers: Record<string, unknown> }, response: { writeHead(status: number): { end(): void } }) =>
    response.writeHead(request.headers['x-refuse'] === undefined ? 200 : 401).end();
  const gateway = await world.gateway({ ADMIN_TOKEN: 'root' }, { registry: registry as never });
  const beat = { method: 'POST', headers: bearer(mine.token), body: JSON.stringify({ workspace_id: mine.id }) };
  for (let n = 0; n < 3; n++) await call(gateway, '/registry/heartbeat', beat);
  await call(gateway, `/workspaces/${other.id}/config`, { headers: bearer(other.token) });
  await call(gateway, '/workspaces', { headers: bearer(org.token) });
  await call(gateway, `/workspaces/${unused.id}/config`, { headers: { ...bearer(unused.token), 'x-refuse': '1' } });

  const idOf = (workspaceId: string) => world.registry.entries.get(workspaceId)?.tokens[0]?.tokenId;
  await waitFor(() => told.length >= 3, { timeoutMs: 10_000, what: 'the uses to be told' });
  expect(told.map(({ tokenId }) => tokenId).toSorted()).toEqual([idOf(mine.id), idOf(other.id), org.id].toSorted());
  expect((await call(gateway, '/metrics')).text).toMatch(/^molecule_auth_denials_total\{reason="invalid".*\} 1$/m);
});

it('tells of refusals in one message, and of none in none', async ({ bus }) => {
  const told: DenialReport[] = [];
  bus.nats.subscribe(subjects.denials, { callback: (_, message) => void told.push(DenialReport.parse(message.json())) });
  const denials = new Denials({ gateway: 'gateway-1', clock: manualClock() });
  const tell = tellDenials(bus, denials);
  await tell();
  denials.add({ reason: 'locked-out', method: 'GET', path: '/ws', peer: '10.0.0.1' });
  await tell();
  await tell();
  await bus.nats.flush();
  expect(told.map(({ denials }) => denials)).toEqual([
    [{ reason: 'locked-out', method: 'GET', path: '/ws', peer: '10.0.0.1', count: 1 }],
  ]);
});
