/** What must be so after the last fault, on however busy a machine: all works, all has ended, and the log proves it (limits.md I6). */
import { waitFor } from '@molecule/testkit';
import type { Recorded } from './checker.ts';
import { Client } from './client.ts';
import type { Cluster } from './cluster.ts';
import type { History } from './history.ts';
import { readMessages } from './ledger.ts';
import type { Member } from './team.ts';

/** Within this time every route works and every backlog is gone. */
export const TAIL_MS = 120_000;

/** Each agent is reached through each gateway, its beat is heard there, and all is green. */
export async function everybodyAnswers(cluster: Cluster, members: readonly Member[]): Promise<void> {
  await cluster.allReady();
  for (const url of cluster.urls()) {
    const here = new Client(url);
    const canvas = await here.socket();
    await Promise.all(
      members.map(async ({ id }) => {
        await waitFor(async () => (await here.send(id, 'still there?')).status === 200, {
          timeoutMs: TAIL_MS,
          what: `${id} to answer again through ${url}`,
        });
        await canvas.hears(id, 'WORKSPACE_HEARTBEAT', TAIL_MS);
      }),
    );
    canvas.close();
    await waitFor(async () => (await here.get('/admin/health')).body.every(({ ready }: { ready: boolean }) => ready), {
      timeoutMs: TAIL_MS,
      what: 'every service to be healthy',
    });
  }
}

/** What the log says of every message, once each has ended and the platform's own proof agrees. @throws Error if it does not */
export async function everythingEnded(cluster: Cluster): Promise<Recorded[]> {
  const client = new Client(cluster.url());
  let last: Audit | undefined;
  const ended = async () => {
    last = (await client.get('/admin/audit')).body as Audit;
    return last.open === 0;
  };
  await waitFor(ended, { timeoutMs: TAIL_MS, what: 'every message to end' }).catch((error: Error) => {
    throw new Error(`${error.message}; the audit says ${JSON.stringify(last)}`);
  });
  const { accepted, completed, failed, dropped, balanced } = last as Audit;
  if (!balanced || accepted !== completed + failed + dropped)
    throw new Error(`the audit is not balanced: ${JSON.stringify(last)}`);
  return readMessages(cluster.postgres.url);
}

/** What the agents have seen of the messages that were sent under a value of their own, `m0`, `m1` …, whatever they said to it. */
export function lookAtAgents(history: History, members: readonly Member[]): void {
  for (const { id, agent } of members) for (const { text } of agent.received) if (/^m\d+$/.test(text)) history.see(text, id);
}

interface Audit {
  readonly accepted: number;
  readonly completed: number;
  readonly failed: number;
  readonly dropped: number;
  readonly open: number;
  readonly balanced: boolean;
}
