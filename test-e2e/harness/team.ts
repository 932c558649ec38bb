/** Agents of the test's own beside a running cluster: registered with workspaces made for them, beating like real ones. */
import { type Agent, startAgent } from '@molecule/testkit';
import { Client } from './client.ts';
import type { Cluster } from './cluster.ts';

export interface Declared {
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly idleTimeoutSeconds?: number;
}

export interface Joining extends Declared {
  /** The base URL of the gateway that it beats to; the first if nothing is said. */
  readonly gateway?: string;
}

export interface Member {
  readonly id: string;
  readonly agent: Agent;
}

export class Team {
  readonly #cluster: Cluster;
  readonly #client: Client;
  readonly #agents: Agent[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#client = new Client(cluster.url());
  }

  /** A new workspace and its agent, online. */
  async join(name: string, { gateway = this.#cluster.url(), ...declared }: Joining = {}): Promise<Member> {
    const id = await this.#client.create(name, { external: true });
    // Beside the one that the answer showed: this one need not be read out of a connection block.
    const token = (await this.#client.get(`/admin/workspaces/${id}/test-token`)).body.auth_token as string;
    const agent = await startAgent({ link: { gateway, workspaceId: id, token, ...declared } });
    this.#agents.push(agent);
    for (const answer of [await agent.link?.register(), await agent.link?.beat()]) {
      if (answer?.status !== 200) throw new Error(`the agent of ${name} could not join: ${JSON.stringify(answer)}`);
    }
    agent.link?.startBeating(1_000);
    return { id, agent };
  }

  async leave(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
  }
}
