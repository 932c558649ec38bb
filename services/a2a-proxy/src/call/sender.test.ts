/** What is refused at the dial (spec 2 §1.6): whoever looked before, the connection itself is checked. */
import type { DirectoryEntry } from '@molecule/contracts';
import { NetGuard } from '@molecule/net-guard';
import { manualClock, startAgent } from '@molecule/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Endpoint } from './endpoints.ts';
import { ReplyMemory } from './reply-body.ts';
import { type SenderParts, send } from './sender.ts';
import { Targets } from './targets.ts';

const entry = { workspaceId: 'w', external: false, runtime: 'x' } as unknown as DirectoryEntry;

const parts = {
  targets: new Targets(),
  capabilities: { idleTimeoutMs: () => undefined, has: () => true } as unknown as SenderParts['capabilities'],
  // Nobody asks whether it lives: nothing was sent there.
  isAlive: () => Promise.reject(new Error('nobody should ask')),
  clock: manualClock(),
  idleTimeoutMs: 60_000,
  replyMemory: new ReplyMemory(1_000_000),
} satisfies SenderParts;

describe('a message whose address may not be dialled', () => {
  it.each(['http://127.0.0.1', 'http://rebound.example'])('is not sent: %s', async (host) => {
    const agent = await startAgent();
    onTestFinished(() => agent.stop());
    const guard = new NetGuard({ mode: 'strict', resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    const pool = guard.createPool(`${host}:${new URL(agent.url).port}`);
    onTestFinished(() => pool.destroy());
    const message = { entry, endpoint: new Endpoint(pool, '/'), body: '{}', limitMs: 60_000, direct: true };
    expect(await send(parts, message)).toEqual({ kind: 'unsafe' });
    expect(agent.connections).toBe(0);
    expect(parts.targets.size).toBe(0);
  });
});
