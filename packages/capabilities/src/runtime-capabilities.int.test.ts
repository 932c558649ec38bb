import { BeatFeed, BeatPublisher, openBus } from '@molecule/bus';
import { HeartbeatBody } from '@molecule/contracts';
import { systemClock } from '@molecule/service';
import { it } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { RuntimeCapabilities } from './runtime-capabilities.ts';
import { workspaceId } from './test-beats.ts';

const nobody = { get: () => undefined, onChange: () => {} };

describe('the capabilities of runtimes', () => {
  it('D7: survive a restart of the service that keeps them', async ({ bus, natsUrl, log }) => {
    const gateway = new BeatPublisher(bus, { gateway: 'gateway-1', clock: systemClock });
    const runtime_metadata = { capabilities: { scheduler: true }, idle_timeout_seconds: 600 };
    gateway.publish(HeartbeatBody.parse({ workspace_id: workspaceId, active_tasks: 1, runtime_metadata }));

    const restarted = await openBus({ servers: natsUrl, name: 'restarted', log });
    onTestFinished(() => restarted.close());
    const beats = await BeatFeed.open(restarted, { log });
    onTestFinished(() => beats.stop());
    const capabilities = new RuntimeCapabilities({ beats, directory: nobody, leaseMs: 180_000, clock: systemClock });
    expect(await beats.caughtUp(gateway.mark(), 10_000)).toBe(true);
    expect(capabilities.has(workspaceId, 'scheduler')).toBe(true);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBe(600_000);

    gateway.publish(HeartbeatBody.parse({ workspace_id: workspaceId, runtime_metadata: {} }));
    expect(await beats.caughtUp(gateway.mark(), 10_000)).toBe(true);
    expect(capabilities.has(workspaceId, 'scheduler')).toBe(false);
    expect(capabilities.activeTasks(workspaceId)).toBe(0);
  });
});
