/** WebSocket clients that listen, in a process of their own. Orders are carried out one after the other. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CrowdOrder, CrowdReport } from './crowd-worker.ts';

export type { CrowdReport } from './crowd-worker.ts';

const WORKER = fileURLToPath(new URL('./crowd-worker.ts', import.meta.url));

export class Crowd {
  readonly #worker: ChildProcess;

  private constructor(worker: ChildProcess) {
    this.#worker = worker;
  }

  /** So many sockets, all open. */
  static async open(url: string, count: number): Promise<Crowd> {
    const crowd = new Crowd(fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    await crowd.order({ open: count, url });
    return crowd;
  }

  /** Resolves with what it knows when the order was carried out. */
  async order(order: CrowdOrder): Promise<CrowdReport> {
    const answered = once(this.#worker, 'message');
    this.#worker.send(order);
    const [report] = await answered;
    return report as CrowdReport;
  }

  async close(): Promise<void> {
    const gone = once(this.#worker, 'exit');
    this.#worker.kill();
    await gone;
  }
}
