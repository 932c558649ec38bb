/** P15: from an agent that says it is free to the next queued message at the agent. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const TIMES = 200;

/** An agent that resets what comes while it is busy, and tells when something was delivered. */
async function startBusyAgent(): Promise<{
  url: string;
  setBusy(busy: boolean): void;
  delivered(): Promise<number>;
  server: Server;
}> {
  let busy = true;
  let arrived: ((at: number) => void) | undefined;
  const server = createServer((req, res) => {
    if (busy) return void req.socket.resetAndDestroy();
    arrived?.(performance.now());
    req.resume();
    req.on('end', () =>
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":"1","result":{"parts":[]}}'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setBusy: (now) => {
      busy = now;
    },
    delivered: () => new Promise((resolve) => (arrived = resolve)),
    server,
  };
}

export async function drainFigures(cluster: Cluster): Promise<Figure[]> {
  const agent = await startBusyAgent();
  const workspaceId = await workspaceAt(cluster, agent.url);
  const waits: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    agent.setBusy(true);
    const queued = await fetch(`${cluster.url()}/workspaces/${workspaceId}/a2a`, { method: 'POST', body: body() });
    if (queued.status !== 202) throw new Error(`the message was not queued: ${queued.status} ${await queued.text()}`);
    agent.setBusy(false);
    const delivered = agent.delivered();
    const freeAt = performance.now();
    await fetch(`${cluster.url()}/registry/heartbeat`, {
      method: 'POST',
      body: JSON.stringify({ workspace_id: workspaceId, active_tasks: 0 }),
    });
    waits.push((await delivered) - freeAt);
  }
  agent.server.close();
  agent.server.closeAllConnections();
  waits.sort((a, b) => a - b);
  const at = (share: number) => waits[Math.floor(waits.length * share)] as number;
  const behind = `${TIMES} times; from sending the beat over HTTP; max ${short(waits.at(-1) as number)} ms`;
  return [
    {
      id: 'P15',
      what: 'agent says it is free → queued message at the agent, p50',
      value: at(0.5),
      unit: 'ms',
      pass: 4,
      stretch: 1.6,
      better: 'lower',
      behind,
    },
    { id: 'P15b', what: 'the same, p99', value: at(0.99), unit: 'ms', pass: 25, stretch: 10, better: 'lower', behind },
  ];
}
