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

beforeAll(async () => {
  const replicas = { gateway: REPLICAS, registry: REPLICAS, 'a2a-proxy': REPLICAS };
  cluster = await Cluster.start({ replicas, env: { A2A_IDLE_TIMEOUT_SECONDS: '20' } });
  team = new Team(cluster);
  [here, there] = [new Client(cluster.url(0)), new Client(cluster.url(1))];
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

const bearer = ({ agent }: Member) => ({ authorization: `Bearer ${agent.link?.token}` });

interface Knocking {
  readonly member: Member;
}

/** A call that is let in while the door is open: 200. */
type Door = (client: Client, knocking: Knocking) => Promise<Answer>;

const DOORS = {
  'a call with its token': (client, { member }) => client.patch(`/workspaces/${member.id}`, {}, bearer(member)),
  'a message to it': (client, { member }) => client.send(member.id, 'hello'),
} as const satisfies Record<string, Door>;

interface Closing {
  readonly what: string;
  readonly close: (knocking: Knocking) => Promise<Answer>;
  readonly answer: Answer;
  /** Which doors it shuts, and what stands on them then. */
  readonly shuts: Partial<Record<keyof typeof DOORS, Answer>>;
}

const CLOSINGS: readonly Closing[] = [
  {
    what: 'DELETE of the workspace',
    close: ({ member }) => here.delete(`/workspaces/${member.id}`),
    answer: { status: 200, body: { status: 'removed', cascade_deleted: 0 } },
    shuts: {
      'a call with its token': { status: 401, body: { error: 'invalid workspace auth token' } },
      'a message to it': { status: 503, body: { error: 'workspace has no URL', status: 'removed' } },
    },
  },
];

describe.each(CLOSINGS)('after $what', ({ close, answer, shuts }) => {
  it.each(Object.entries(shuts))('%s is refused at once by every process', async (name, shut) => {
    const knock: Door = DOORS[name as keyof typeof DOORS];
    for (let round = 0; round < ROUNDS; round++) {
      const knocking = { member: await team.join(`member ${round}`) };
      knocking.member.agent.link?.stopBeating();
      const everywhere = () =>
        Promise.all([there, here].flatMap((client) => Array.from({ length: REPLICAS }, () => knock(client, knocking))));
      expect((await everywhere()).map(({ status }) => status)).toEqual(Array(2 * REPLICAS).fill(200));
      expect(await close(knocking)).toMatchObject(answer);
      expect(await everywhere()).toEqual(Array(2 * REPLICAS).fill(shut));
    }
  });

  it('its open socket on the other gateway ends', async () => {
    const knocking = { member: await team.join('listener') };
    const socket = await there.socket({ 'x-workspace-id': knocking.member.id, ...bearer(knocking.member) });
    expect(await close(knocking)).toMatchObject(answer);
    await waitFor(() => socket.closed === 1008, { what: 'the socket to be closed' });
  });
});
