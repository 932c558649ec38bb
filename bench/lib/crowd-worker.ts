/** Many WebSocket clients in a process of their own: count what they are told, and how long it took. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface CrowdReport {
  readonly open: number;
  /** Frames with a time of sending in them, over all clients, since the last reset. */
  readonly heard: number;
  /** Milliseconds from sending to each client; only the first so many are kept. */
  readonly p50: number;
  readonly p99: number;
}

export type CrowdOrder = { readonly open: number; readonly url: string } | 'reset' | 'report' | { readonly reach: number };

/** What figures are told by: `"at":<ms since the epoch>` somewhere in a frame. */
const SENT_AT = /"at":(\d+(?:\.\d+)?)/;
const MAX_KEPT = 200_000;

const sockets: WebSocket[] = [];
let latencies: number[] = [];
let heard = 0;
let goal: { readonly count: number; readonly reached: () => void } | undefined;

function hear(data: unknown): void {
  const sentAt = SENT_AT.exec(String(data))?.[1];
  if (sentAt === undefined) return;
  heard++;
  if (latencies.length < MAX_KEPT) latencies.push(performance.timeOrigin + performance.now() - Number(sentAt));
  if (goal !== undefined && heard >= goal.count) goal.reached();
}

async function obey(order: CrowdOrder): Promise<void> {
  if (order === 'reset') {
    latencies = [];
    heard = 0;
  } else if (order !== 'report') {
    if ('reach' in order) {
      if (heard < order.reach) await new Promise<void>((reached) => (goal = { count: order.reach, reached }));
      goal = undefined;
    } else {
      for (let left = order.open; left > 0; left--) {
        const socket = new WebSocket(order.url, { perMessageDeflate: false });
        sockets.push(socket.on('message', hear));
        await once(socket, 'open');
      }
    }
  }
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  process.send?.({ open: sockets.length, heard, p50: at(0.5), p99: at(0.99) } satisfies CrowdReport);
}

process.on('message', (order: CrowdOrder) => void obey(order));
