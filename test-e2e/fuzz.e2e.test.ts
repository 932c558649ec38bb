/**
 * Anything at all, on every route and every subject (limits F19): answers are those that are documented, nothing hangs, nothing ends,
 * and what is good goes on meanwhile. Half a minute in `npm test`; `FUZZ_SECONDS=600` looks longer. A failure says with which
 * `FUZZ_SEED` it comes again.
 */
import { randomInt } from 'node:crypto';
import { type Bus, openBus } from '@molecule/bus';
import { testLog, waitFor } from '@molecule/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { messages, requests } from './harness/fuzz.ts';
import { type Knock, knock, type Reply } from './harness/knock.ts';
import { type Member, Team } from './harness/team.ts';

const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 20);
const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
const PREY = 12;
const DOOMED = 4;
const AT_ONCE = 12;

let cluster: Cluster;
let client: Client;
let team: Team;
let bus: Bus;
/** Whom nothing happens to: its good messages go on all the time. */
let bystander: Member;
let prey: Member[];

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_IDLE_TIMEOUT_SECONDS: '5', PROVISIONER_BACKEND: 'none' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
  bus = await openBus({ servers: cluster.nats.url, name: 'test', log: testLog() });
  bystander = await team.join('bystander');
  prey = [];
  for (let index = 0; index < PREY; index++) prey.push(await team.join(`prey ${index}`));
  for (const { agent } of prey) agent.link?.stopBeating();
});

afterAll(async () => {
  await bus?.close();
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

/** Until the time is over; a failure tells the way back to it. */
async function fuzz<Item>(
  seconds: number,
  items: fc.Arbitrary<Item>,
  check: (batch: readonly Item[]) => Promise<void>,
): Promise<void> {
  const batches = fc.array(items, { minLength: 1, maxLength: AT_ONCE });
  const report = await fc.check(fc.asyncProperty(batches, check), {
    seed: SEED,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1_000,
  });
  expect(report.numRuns).toBeGreaterThan(0);
  if (report.failed) throw new Error(`FUZZ_SEED=${SEED}\n${fc.defaultReportMessage(report)}`, { cause: report.errorInstance });
}

/** More than the system's own buffers take at once: who is refused while sending it may be cut off before reading why. */
const LARGE = 64 * 1024;

/** `null`: cut off in the middle of what would not have been read anyway. Rejects when there is no answer. */
async function ask(call: Knock): Promise<Reply | null> {
  return await knock(cluster.url(), { ...call, untilHead: /event-stream/ }).catch((error: NodeJS.ErrnoException) => {
    const cutOff = error.code === 'EPIPE' || error.code === 'ECONNRESET';
    if (cutOff && Buffer.byteLength(call.body ?? '') > LARGE) return null;
    throw new Error(`${call.method} ${call.path}: ${error.message}`, { cause: error });
  });
}

/** Refusals of the specification that are a 500: what was asked for could not be done, said in a few words. */
const DOCUMENTED_500 = /^(failed to [\w .:-]+|[a-z ]+ failed|workspace marked removed, but \d+ stop call\(s\) failed — .*)$/;
/** What comes from inside: stacks, files, SQL, names of classes. */
const INSIDE =
  /\n\s+at |node_modules|\.ts:\d|syntax error at|violates|relation "|(Type|Range|Syntax|Reference)Error|is not a function|Cannot read|undefined/;

/** What is no JSON: of no route, and of the socket's route to who opens none. */
const PAGES: Readonly<Record<number, string>> = { 404: '404 page not found', 400: 'Bad Request' };

/** What is wrong with an answer; `null` when nothing is. */
function complaint({ method }: Knock, { status, type, text }: Reply): string | null {
  if (status >= 400 && INSIDE.test(text)) return 'it tells of its inside';
  if (status < 400 || method === 'HEAD' || method === 'OPTIONS') return null;
  // Node's own for what is no HTTP, the edge's for origins that it does not know, and the page for what is no route.
  if (text === '' && [400, 403, 431].includes(status)) return null;
  if (type.startsWith('text/plain')) return PAGES[status] === text ? null : 'it is another page';
  if (!type.startsWith('application/json')) return `it is ${type}`;
  const body = JSON.parse(text);
  if (status !== 500) return typeof body === 'object' && body !== null ? null : 'its body is no object';
  return DOCUMENTED_500.test(body.error) ? null : 'no document has this 500';
}

describe(`anything at all (FUZZ_SEED=${SEED})`, () => {
  it('on every route gets a documented answer', { timeout: (SECONDS + 60) * 1_000 }, async () => {
    const pids = cluster.servicePids();
    const [doomed, targets] = [prey.slice(0, DOOMED), prey.slice(DOOMED)];
    const calls = requests(
      targets.map(({ id, agent }) => ({ id, token: agent.link?.token as string })),
      doomed.map(({ id }) => id),
    );
    await fuzz(SECONDS, calls, async (batch) => {
      const [good, ...replies] = await Promise.all([client.send(bystander.id, 'good'), ...batch.map(ask)]);
      const wrong = replies.flatMap((reply, index) => {
        const call = batch[index] as Knock;
        const found = reply === null ? null : complaint(call, reply);
        return found === null ? [] : [{ found, call, status: reply?.status, text: reply?.text.slice(0, 500) }];
      });
      expect(wrong).toEqual([]);
      expect(good.status).toBe(200);
    });
    expect(cluster.servicePids()).toEqual(pids);
    await everythingWorks();
  });

  it('on every subject holds nobody up', { timeout: (SECONDS + 90) * 1_000 }, async () => {
    const pids = cluster.servicePids();
    await fuzz(SECONDS / 4, messages(), async (batch) => {
      for (const { subject, body } of batch) bus.nats.publish(subject, body, { reply: 'nobody.listens' });
      await bus.nats.flush();
      expect((await client.send(bystander.id, 'good')).status).toBe(200);
    });
    expect(cluster.servicePids()).toEqual(pids);
    await everythingWorks();
  });
});

/** A workspace made now is told of, spoken to, scheduled and removed: everybody still hears. */
async function everythingWorks(): Promise<void> {
  await cluster.allReady();
  const canvas = await client.socket();
  const { id, agent } = await team.join('after');
  await canvas.hears(id, 'WORKSPACE_HEARTBEAT');
  expect((await client.send(id, 'hello')).status).toBe(200);
  const schedule = { name: 'later', cron_expr: '0 0 1 1 *', prompt: 'p' };
  await waitFor(async () => (await client.post(`/workspaces/${id}/schedules`, schedule)).status === 201, { timeoutMs: 30_000 });
  agent.link?.stopBeating();
  expect((await client.delete(`/workspaces/${id}`)).body).toEqual({ status: 'removed', cascade_deleted: 0 });
  await canvas.hears(id, 'WORKSPACE_REMOVED');
  canvas.close();
  const audit = async () => (await client.get('/admin/audit')).body;
  await waitFor(async () => (await audit()).open === 0, { timeoutMs: 30_000, what: 'every message to end' });
  expect(await audit()).toMatchObject({ balanced: true });
}
