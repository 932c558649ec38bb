/** I9: a gateway that facts no longer reach, though its link looks whole. */
import { TRUSTED_FOR_MS } from '@molecule/directory';
import { waitFor } from '@molecule/testkit';
import { expect } from 'vitest';
import { Line } from './testing/line.ts';
import { bearer, call, it } from './testing/world.ts';

it('I9: refuses what a token decides before barriers stop waiting for it, and knows again once it has caught up', {
  timeout: 30_000,
}, async ({ world, natsUrl }) => {
  const { id, token } = await world.registry.enrol();
  const line = new Line(natsUrl);
  const gateway = await world.gateway({ NATS_URL: await line.open() });
  const beat = async () =>
    (
      await call(gateway, '/registry/heartbeat', {
        method: 'POST',
        headers: bearer(token),
        body: JSON.stringify({ workspace_id: id }),
      })
    ).status;
  expect(await beat()).toBe(200);
  line.cut();
  await world.registry.revokeTokens(id);
  await world.registry.issue(id);
  // Within the 6.5 s after which a barrier forgets who is silent, with a second to spare.
  await waitFor(async () => (await beat()) === 503, { timeoutMs: TRUSTED_FOR_MS + 1_500, what: 'the gateway to notice' });
  const refused = await call(gateway, '/admin/liveness', { headers: bearer(token) });
  expect([refused.status, JSON.parse(refused.text).code]).toEqual([503, 'platform_unavailable']);
  line.mend();
  await waitFor(async () => (await beat()) !== 503, { timeoutMs: 10_000, what: 'the gateway to know again' });
  expect(await beat()).toBe(401);
});
