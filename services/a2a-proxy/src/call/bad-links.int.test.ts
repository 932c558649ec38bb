/**
 * Connections that fail at their worst moments (limits F11): no message is lost, none is doubled behind anybody's back, nothing that
 * was cut off passes for whole, nobody waits for ever, and nothing stays open.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Chance, type Cut, chance, startRelay, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, type Running, type World } from '../testing/world.ts';

const LANES = 8;
const MANY = 2_000;

/** What became of a message, as its sender heard it. */
interface Told {
  readonly messageId: string;
  readonly status: number;
  readonly text: string;
}

/** What came was not whole, and the client knows. */
const BROKEN_OFF = { status: 0, text: '' };

/** Sends so many messages, some at once, each with its own id and text. */
async function sendMany(world: World, proxy: Running, id: string, count: number, headers = {}): Promise<Told[]> {
  const told: Told[] = [];
  let sent = 0;
  const lane = async () => {
    while (sent < count) {
      const messageId = `m-${++sent}`;
      const call = world.call(proxy, id, { body: message(messageId, messageId), headers });
      const { status, text } = await call.catch(() => BROKEN_OFF);
      told.push({ messageId, status, text });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return told;
}

const arrivals = (messageIds: readonly (string | undefined)[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const messageId of messageIds) counts.set(messageId ?? '', (counts.get(messageId ?? '') ?? 0) + 1);
  return counts;
};

const isOwnAnswer = ({ messageId, text }: Told) => JSON.parse(text).result.parts[0].text === messageId;

describe('an agent that closes idle connections at their worst moment', () => {
  it('gets each of thousands of messages once, at once or from the mailbox', { timeout: 60_000 }, async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const { happens } = chance(1);
    const sending = sendMany(world, proxy, id, MANY);
    let isSending = true;
    const pest = (async () => {
      // In every turn of the loop: also in those in which a request has left, and the agent has not looked yet.
      for (; isSending; await nextTurn()) if (happens(0.3)) agent.closeIdle(happens(0.5) ? 'reset' : 'end');
    })();
    const told = await sending;
    isSending = false;
    await pest;

    expect(told.filter(({ status }) => status === 202).length).toBeGreaterThan(100); // it did hit the moment
    expect(new Set(told.map(({ status }) => status)).isSubsetOf(new Set([200, 202]))).toBe(true);
    expect(told.filter(({ status }) => status === 200).filter((one) => !isOwnAnswer(one))).toEqual([]);
    world.beat(id);
    expect(await world.settled(proxy, told.length, 30_000)).toMatchObject({ accepted: MANY, completed: MANY, balanced: true });
    const counts = arrivals(agent.messageIds);
    expect(counts.size).toBe(MANY);
    expect([...counts].filter(([, count]) => count !== 1)).toEqual([]);
    expect(await world.figure(proxy, 'a2a_in_flight')).toBe(0);
  });
});

/** Every connection is cut after a while, at any byte of a request or of an answer. */
const cutAnywhere = ({ happens, below }: Chance): Cut => ({
  after: happens(0.4) ? 'request' : 'answer',
  bytes: 1 + below(1_500),
  how: happens(0.5) ? 'reset' : 'end',
});

describe('a link that is cut at any byte', () => {
  it.for([
    ['answers', 1],
    ['answers', 2],
    ['streams', 3],
    ['streams to clients that ask for it', 4],
  ] as const)(
    'loses nothing and passes on nothing that is cut off, while the agent %s (seed %i)',
    async ([does, seed], { world }) => {
      const proxy = await world.proxy();
      const agent = await world.agent();
      const isStream = does !== 'answers';
      const asks = does === 'streams to clients that ask for it';
      if (isStream) agent.behave({ kind: 'stream', chunks: ['a', 'b', 'c'], everyMs: 0 });
      const luck = chance(seed);
      let isBad = true;
      const relay = await startRelay(agent.url, () => (isBad ? cutAnywhere(luck) : null));
      await world.onClose(() => relay.close());
      const id = await world.workspace(relay);

      const told = await sendMany(world, proxy, id, 300, asks ? { accept: 'text/event-stream' } : {});
      expect(relay.cuts).toBeGreaterThan(50);
      isBad = false;
      await waitFor(
        async () => {
          world.beat(id);
          return (await world.audit(proxy)).open === 0;
        },
        { what: 'the mailbox to be empty', timeoutMs: 20_000 },
      );
      const audit = await world.settled(proxy, told.length);
      expect(audit).toMatchObject({ accepted: 300, balanced: true });

      const counts = arrivals(agent.messageIds);
      const once = (one: Told) => counts.get(one.messageId) === 1;
      const answered = told.filter(({ status }) => status === 200);
      const broken = told.filter(({ status }) => status === (asks ? BROKEN_OFF.status : 502));
      const queued = told.filter(({ status }) => status === 202);
      expect(answered.length + broken.length + queued.length).toBe(300);
      for (const some of [answered, broken, queued]) expect(some.length).toBeGreaterThan(0);
      // Whoever has an answer has their own, whole; it was delivered once, and so was what is said to be.
      const isWhole = ({ text }: Told) => text.endsWith('\n\n') && text.match(/^data: /gm)?.length === 3;
      expect(answered.filter((one) => !(once(one) && (isStream ? isWhole(one) : isOwnAnswer(one))))).toEqual([]);
      const unread = asks ? '' : '{"error":"failed to read agent response","delivery_confirmed":true}';
      expect(broken.filter((one) => !(once(one) && one.text === unread))).toEqual([]);
      // What was queued arrived from there, if not before: each attempt is in the log.
      expect(queued.filter(({ messageId }) => !counts.has(messageId))).toEqual([]);
      const { rows } = await world.database.query<{ attempts: number }>(
        `select count(*)::int as attempts from events where type = 'a2a.dispatched' and data ->> 'via' = 'drain'`,
      );
      const redelivered = queued.reduce((sum, { messageId }) => sum + (counts.get(messageId) ?? 0), 0);
      expect(redelivered).toBeLessThanOrEqual(queued.length + (rows[0]?.attempts ?? 0));

      expect(await world.figure(proxy, 'a2a_in_flight')).toBe(0);
      await waitFor(() => relay.open === 0 && agent.sockets === 0, { what: 'every connection to be closed' });
    },
  );
});
