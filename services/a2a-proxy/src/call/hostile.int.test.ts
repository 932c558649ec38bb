/** Many hostile agents at once (limits F12): the process lives, its memory is bounded, and the others do not notice. */
import { readFile } from 'node:fs/promises';
import { type Agent, type Behaviour, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, type World } from '../testing/world.ts';

const MIB = 1024 * 1024;
const HOSTILE = 50;
const UNREAD = '{"error":"failed to read agent response","delivery_confirmed":true}';

/** The most memory a process has ever had, and what it has now, in bytes. */
async function memoryOf(pid: number): Promise<{ peak: number; now: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { peak: kib('VmHWM'), now: kib('VmRSS') };
}

/** A proxy of its own, 50 workspaces of one hostile agent, and one of a good agent. */
async function town(world: World, env: Readonly<Record<string, string>>) {
  const [good, bad] = [await world.agent(), await world.agent()];
  const [id, ...hostile] = await Promise.all(
    [good, ...Array<Agent>(HOSTILE).fill(bad)].map((agent) => world.registry.create({ at: agent.url })),
  );
  const proxy = await world.process(env);
  const knows = async (workspace: string) => (await world.call(proxy, workspace, { body: 'x' })).status === 400;
  await waitFor(async () => (await Promise.all(hostile.map(knows))).every(Boolean), { what: 'the process to know them' });
  return { proxy, good, bad, id: id ?? '', hostile, pid: proxy.child.pid ?? 0 };
}

describe('fifty hostile agents at once', () => {
  it.for([
    ['send 50 MiB each', { kind: 'pour', bytes: 50 * MIB }],
    ['send without end', { kind: 'pour', bytes: Number.POSITIVE_INFINITY }],
    // Each of these is written down, too: what waits for the database is bounded as well (recorder, R6).
    ['send 9 MiB of JSON each', { kind: 'status', status: 200, body: JSON.stringify('x'.repeat(9 * MIB)) }],
  ] as const)(
    'that %s take no more memory than there is for all replies, and the others nothing',
    { timeout: 60_000 },
    async ([, behaviour], { world }) => {
      const limit = 64 * MIB;
      const { proxy, good, bad, id, hostile, pid } = await town(world, { A2A_REPLY_MEMORY_MIB: `${limit / MIB}` });
      bad.behave(behaviour);
      const before = await memoryOf(pid);
      const replies = Promise.all(hostile.map((workspace) => world.call(proxy, workspace)));
      const others: { status: number; text: string }[] = [];
      for (let n = 0; n < 100; n++) others.push(await world.call(proxy, id, { body: message(`${n}`) }));
      expect(others.map(({ status, text }) => [status, JSON.parse(text).result?.parts[0].text])).toEqual(
        others.map((_, n) => [200, `${n}`]),
      );

      const told = (await replies).map(({ status, text }) => (status === 200 ? text.length : text));
      const [read, unread] = [told.filter((one) => typeof one === 'number'), told.filter((one) => one === UNREAD)];
      expect(read.length + unread.length).toBe(HOSTILE);
      expect(read.length).toBeGreaterThanOrEqual(limit / (10 * MIB) - 1); // who has room is read to the limit of one
      const after = await memoryOf(pid);
      // What is read and what is passed on at the time; 50 bodies as they are read and passed on would be a gigabyte.
      expect(after.peak - before.now).toBeLessThan(6 * limit);
      expect(await world.settled(proxy, HOSTILE + 100, 20_000)).toMatchObject({ failed: 0, balanced: true });
      await waitFor(() => bad.sockets === 0 && good.sockets <= 1, { what: 'the connections to be closed' });
    },
  );

  const waste: readonly (readonly [string, Behaviour])[] = [
    ['never answer', { kind: 'hang' }],
    ['trickle', { kind: 'trickle', everyMs: 1_000 }],
    ['say their headers only', { kind: 'headers-only' }],
  ];
  it.for(waste)('that %s hold up nobody', { timeout: 60_000 }, async ([, behaviour], { world }) => {
    const { proxy, good, bad, id, hostile } = await town(world, { A2A_IDLE_TIMEOUT_SECONDS: '600' });
    bad.behave(behaviour);
    const replies = Promise.all(hostile.map((workspace) => world.call(proxy, workspace)));
    await bad.waitForCalls(HOSTILE);
    for (let n = 0; n < 100; n++) expect((await world.call(proxy, id, { body: message(`${n}`) })).status).toBe(200);
    expect(good.received).toHaveLength(100);
    expect(bad.atOnce).toBe(HOSTILE); // all that time
    await bad.refuse();
    const status = behaviour.kind === 'hang' ? 202 : 502;
    expect((await replies).map((reply) => reply.status)).toEqual(Array(HOSTILE).fill(status));
  });
});
