/**
 * I4 across processes: two gateways, two registries, two a2a-proxies. When the answer to a request that closes a door has come, the
 * very next call is refused whichever of them it meets. What closes which door is a row of a table.
 */
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { type Member, Team } from './harness/team.ts';

const ROUNDS = 5;
/** Each gateway takes the replicas behind it in turn: so many calls in a row meet every one of them. */
const REPLICAS = 2;

let cluster: Cluster;
let team: Team;
let here: Client;
let there: Client;
/** Another root, whom nothing happens to. */
let friend: Member;

beforeAll(async () => {
  const replicas = { gateway: REPLICAS, registry: REPLICAS, 'a2a-proxy': REPLICAS };
  cluster = await Cluster.start({ replicas, env: { A2A_IDLE_TIMEOUT_SECONDS: '20' } });
  team = new Team(cluster);
  [here, there] = [new Client(cluster.url(0)), new Client(cluster.url(1))];
  friend = await team.join('friend');
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

const bearer = ({ agent }: Member) => ({ authorization: `Bearer ${agent.link?.token}` });

interface Knocking {
  readonly member: Member;
  /** A token of the organisation, and a session that was opened with it. */
  readonly org: { readonly id: string; readonly bearer: Readonly<Record<string, string>> };
  readonly session: Readonly<Record<string, string>>;
}

async function knocks(name: string): Promise<Knocking> {
  const member = await team.join(name);
  const { id, auth_token } = (await here.post('/org/tokens', { name })).body;
  const org = { id, bearer: { authorization: `Bearer ${auth_token}` } };
  const { cookie = '' } = await there.post('/session', {}, org.bearer);
  return { member, org, session: { cookie } };
}

/** A call that is let in while the door is open: 200. */
type Door = (client: Client, knocking: Knocking) => Promise<Answer>;

const DOORS = {
  'a call with its token': (client, { member }) => client.patch(`/workspaces/${member.id}`, {}, bearer(member)),
  'a call with an org token': (client, { member, org }) => client.patch(`/workspaces/${member.id}`, {}, org.bearer),
  'a look at the session': (client, { session }) => client.get('/session', session),
  'a message to it': (client, { member }) => client.send(member.id, 'hello'),
  'a message from it': (client, { member }) =>
    client.send(friend.id, 'hello', { ...bearer(member), 'x-workspace-id': member.id }),
} as const satisfies Record<string, Door>;

interface Closing {
  readonly what: string;
  readonly close: (knocking: Knocking) => Promise<Answer>;
  readonly answer: Answer;
  /** Which doors it shuts, and what stands on them then. */
  readonly shuts: Partial<Record<keyof typeof DOORS, Answer>>;
  /** The workspace may no longer listen either. */
  readonly hangsUp: boolean;
}

const unauthenticated = (error: string): Answer => ({ status: 401, body: { error } });

const CLOSINGS: readonly Closing[] = [
  {
    what: 'DELETE of the workspace',
    close: ({ member }) => here.delete(`/workspaces/${member.id}`),
    answer: { status: 200, body: { status: 'removed', cascade_deleted: 0 } },
    shuts: {
      'a call with its token': unauthenticated('invalid workspace auth token'),
      'a message to it': { status: 503, body: { error: 'workspace has no URL', status: 'removed' } },
    },
    hangsUp: true,
  },
  {
    what: 'DELETE of its tokens',
    close: async ({ member }) => {
      const path = `/workspaces/${member.id}/tokens`;
      const answers: Answer[] = [];
      for (const { id } of (await there.get(path)).body.tokens) answers.push(await here.delete(`${path}/${id}`));
      return answers.at(-1) as Answer;
    },
    answer: { status: 200, body: { status: 'revoked' } },
    shuts: { 'a call with its token': unauthenticated('invalid workspace auth token') },
    hangsUp: true,
  },
  {
    // With one left, nobody is let in for want of any.
    what: 'DELETE of one of its two tokens',
    close: async ({ member }) => {
      const path = `/workspaces/${member.id}/tokens`;
      const tokens: { id: string; prefix: string }[] = (await there.get(path)).body.tokens;
      const shown = tokens.find(({ prefix }) => member.agent.link?.token?.startsWith(prefix));
      return here.delete(`${path}/${shown?.id}`);
    },
    answer: { status: 200, body: { status: 'revoked' } },
    shuts: {
      'a call with its token': unauthenticated('invalid workspace auth token'),
      'a message from it': unauthenticated('invalid caller auth token'),
    },
    hangsUp: true,
  },
  {
    what: 'a move to another parent',
    close: async ({ member }) =>
      here.patch(`/workspaces/${member.id}`, { parent_id: await here.create('elsewhere', { external: true }) }),
    answer: { status: 200, body: { status: 'updated' } },
    shuts: {
      'a message from it': { status: 403, body: { error: 'access denied: workspaces cannot communicate per hierarchy rules' } },
    },
    hangsUp: false,
  },
  {
    what: 'pause',
    close: ({ member }) => here.post(`/workspaces/${member.id}/pause`),
    answer: { status: 200, body: { status: 'paused', paused_count: 1 } },
    shuts: { 'a message to it': { status: 503, body: { error: 'workspace has no URL', status: 'paused' } } },
    hangsUp: false,
  },
  {
    what: 'DELETE of the org token',
    close: async ({ org }) => {
      const { status, body } = await here.delete(`/org/tokens/${org.id}`);
      return { status, body: { revoked: body.revoked === org.id } };
    },
    answer: { status: 200, body: { revoked: true } },
    shuts: {
      'a call with an org token': unauthenticated('invalid workspace auth token'),
      'a look at the session': unauthenticated('invalid session'),
    },
    hangsUp: false,
  },
  {
    what: 'DELETE of the session',
    close: ({ session }) => here.delete('/session', session),
    answer: { status: 200, body: { status: 'closed' } },
    shuts: { 'a look at the session': unauthenticated('invalid session') },
    hangsUp: false,
  },
  {
    what: 'a budget that is spent',
    close: ({ member }) => here.patch(`/workspaces/${member.id}/budget`, { budget_limit: 0 }),
    answer: { status: 200, body: { budget_limit: 0, monthly_spend: 0, budget_remaining: 0, budget_used: 0 } },
    shuts: { 'a message to it': { status: 402, body: { error: 'workspace budget limit exceeded' } } },
    hangsUp: false,
  },
];

describe.each(CLOSINGS)('after $what', ({ close, answer, shuts }) => {
  it.each(Object.entries(shuts))('%s is refused at once by every process', async (name, shut) => {
    const knock: Door = DOORS[name as keyof typeof DOORS];
    for (let round = 0; round < ROUNDS; round++) {
      const knocking = await knocks(`member ${round}`);
      knocking.member.agent.link?.stopBeating();
      const everywhere = () =>
        Promise.all([there, here].flatMap((client) => Array.from({ length: REPLICAS }, () => knock(client, knocking))));
      expect((await everywhere()).map(({ status }) => status)).toEqual(Array(2 * REPLICAS).fill(200));
      expect(await close(knocking)).toMatchObject(answer);
      expect(await everywhere()).toEqual(Array(2 * REPLICAS).fill(shut));
    }
  });
});

it.each(CLOSINGS.filter(({ hangsUp }) => hangsUp))(
  'after $what an open socket on the other gateway ends',
  async ({ close, answer }) => {
    const knocking = await knocks('listener');
    const socket = await there.socket({ 'x-workspace-id': knocking.member.id, ...bearer(knocking.member) });
    expect(await close(knocking)).toMatchObject(answer);
    await waitFor(() => socket.closed === 1008, { what: 'the socket to be closed' });
  },
);
