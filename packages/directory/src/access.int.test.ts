/** Org tokens and sessions, as a directory knows of them. */
import { STREAMS } from '@molecule/contracts';
import { it, waitFor } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { Barrier } from './barrier.ts';
import { openDirectory, silent, testRegistry } from './testing/registry.ts';

const hashOf = (n: number) => String(n % 10).repeat(64);

describe('the directory and what opens every door', () => {
  it('begins with every page of it, and follows its facts', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.pageSize = 2;
    const tokens = [];
    for (const n of [1, 2, 3, 4]) tokens.push(await registry.issueOrgToken({ hash: hashOf(n), orgId: 'acme' }));
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    expect(registry.asked.access).toBe(2);
    for (const n of [1, 2, 3, 4]) expect(directory.accessOf(hashOf(n))).toMatchObject({ kind: 'org', orgId: 'acme' });

    const session = await registry.openSession({ hash: hashOf(5) });
    await waitFor(() => directory.accessOf(hashOf(5)) !== undefined);
    expect(directory.accessOf(hashOf(5))).toMatchObject({ kind: 'session', id: session });
    await registry.revokeOrgToken(tokens[0] as NonNullable<(typeof tokens)[0]>);
    await registry.closeSession(session);
    await waitFor(() => directory.accessOf(hashOf(5)) === undefined);
    expect(directory.accessOf(hashOf(1))).toBeUndefined();
    expect(directory.accessOf(hashOf(2))).toBeDefined();
    expect(registry.asked.access).toBe(2);
  });

  it('Y4: a barrier for the platform is passed once the end of a token was applied and told, not before', async ({ bus }) => {
    const registry = testRegistry(bus).serve();
    const tokenId = await registry.issueOrgToken({ hash: hashOf(1) });
    const barrier = new Barrier(bus, { log: silent });
    onTestFinished(() => barrier.close());
    const directory = await openDirectory(bus, 'one');
    const ended: string[] = [];
    directory.onAccessEnded(({ id }) => void ended.push(id));
    await waitFor(() => barrier.present().length === 1);
    const decided = registry.decideAccess({ type: 'access.token-revoked', data: { tokenId } });
    let passed = false;
    const waiting = barrier.passed('platform', registry.accessVersion, { timeoutMs: 5_000 }).then((yes) => {
      passed = yes;
    });
    await bus.nats.flush();
    expect(passed).toBe(false);
    await registry.tell(...decided);
    await waiting;
    expect(passed).toBe(true);
    expect(directory.accessOf(hashOf(1))).toBeUndefined();
    expect(ended).toEqual([tokenId]);
  });

  it('Y2: closes a hole in it by asking again', async ({ bus }) => {
    const registry = testRegistry(bus).serve();
    const tokenId = await registry.issueOrgToken({ hash: hashOf(1) });
    const directory = await openDirectory(bus, 'one');
    registry.decideAccess({ type: 'access.token-revoked', data: { tokenId } }); // lost on the way
    await registry.issueOrgToken({ hash: hashOf(2) });
    await waitFor(() => directory.accessOf(hashOf(2)) !== undefined);
    expect(directory.accessOf(hashOf(1))).toBeUndefined();
    expect(registry.asked.access).toBe(2);
    expect(registry.asked.directory).toBe(1);
  });

  it('Y2: reads it again when the stream of facts has a hole, and tells what ended meanwhile', async ({ bus }) => {
    const registry = testRegistry(bus).serve();
    const tokenId = await registry.issueOrgToken({ hash: hashOf(1) });
    const directory = await openDirectory(bus, 'one');
    const ended: string[] = [];
    directory.onAccessEnded(({ id }) => void ended.push(id));
    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    registry.decideAccess({ type: 'access.token-revoked', data: { tokenId } });
    await bus.jsm.streams.add(config);
    await bus.nats.reconnect();
    await waitFor(() => directory.accessOf(hashOf(1)) === undefined, { timeoutMs: 15_000 });
    expect(ended).toEqual([tokenId]);
  });
});
