/**
 * The load generator, in a process of its own: prebuilt requests on plain keep-alive sockets, so that it costs as little as
 * possible of the two cores it shares with what is measured.
 *
 * Closed loop (`rate` absent): each connection sends the next request when the answer is there. Open loop: requests start at fixed
 * times whatever the answers do, and are timed from when they should have started (no coordinated omission).
 */
import net from 'node:net';

export interface LoadJob {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Given: `{id}` in the first body and the first path stands for these, in turn. */
  readonly ids?: readonly string[];
  /** Bodies, taken in turn; `paths` likewise, if there are several. */
  readonly bodies: readonly string[];
  readonly paths: readonly string[];
  readonly connections: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Requests per second, for an open loop. */
  readonly rate?: number;
  /** Of an open loop; what is due while all are busy goes when one is free, and is timed from when it was due. */
  readonly mostConnections?: number;
  /** Each request is sent once, and the load is over when all are answered; one that is put off (429, 503) is sent again. */
  readonly once?: boolean;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Answers by status; 0 is a connection that broke. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Until the last answer. */
  readonly durationMs: number;
}

/** An answer that is final: everything but "not now" and a connection that broke. */
const DONE = /^(?!0$|429$|503$)/;
const AGAIN_MS = 50;

/** The end of an answer in chunks. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

class Connection {
  readonly #host: string;
  readonly #port: number;
  #socket: net.Socket | undefined;
  #head: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);
  #bytes = 0;
  /** How many bytes the answer has; `null` for one in chunks, `undefined` before its head was read. */
  #expected: number | null | undefined;
  #status = 0;
  #done: ((status: number) => void) | undefined;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async send(request: Buffer): Promise<number> {
    this.#socket ??= await this.#open();
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#done = resolve;
    this.#socket.write(request);
    return promise;
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #open(): Promise<net.Socket> {
    const socket = net.connect({ host: this.#host, port: this.#port, noDelay: true });
    const broken = () => {
      this.#socket = undefined;
      this.#finish(0);
    };
    socket.on('error', broken).on('close', broken);
    socket.on('data', (chunk) => this.#read(chunk));
    await new Promise<void>((resolve) => socket.once('connect', resolve).once('error', () => resolve()));
    return socket;
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#expected === undefined) {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#head.toString('latin1', 0, end);
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      this.#expected = length === undefined ? null : end + 4 + Number(length);
      this.#status = Number(head.slice(9, 12));
    }
    // Of a body only its end counts: it may be megabytes long.
    this.#tail = chunk.length >= LAST_CHUNK.length ? chunk : Buffer.concat([this.#tail, chunk]).subarray(-LAST_CHUNK.length);
    const complete =
      this.#expected === null ? this.#tail.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) : this.#bytes >= this.#expected;
    if (complete) this.#finish(this.#status);
  }

  #finish(status: number): void {
    const done = this.#done;
    this.#done = undefined;
    this.#bytes = 0;
    this.#expected = undefined;
    this.#head = Buffer.alloc(0);
    this.#tail = Buffer.alloc(0);
    done?.(status);
  }
}

async function run(job: LoadJob): Promise<LoadResult> {
  const { hostname, port } = new URL(job.url);
  const { ids } = job;
  const bodies = ids === undefined ? job.bodies : ids.map((id) => (job.bodies[0] as string).replaceAll('{id}', id));
  const requests = bodies.map((body, index) => {
    const lines = Object.entries({
      host: `${hostname}:${port}`,
      ...job.headers,
      'content-length': String(Buffer.byteLength(body)),
    });
    const path = job.paths[index % job.paths.length] as string;
    return Buffer.from(
      `${job.method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
    );
  });
  const statuses: Record<string, number> = {};
  const latencies: number[] = [];
  const started = performance.now();
  const measureFrom = started + job.warmupMs;
  const until = measureFrom + job.durationMs;
  let turn = 0;

  const one = async (connection: Connection, since: number) => {
    const status = await connection.send(requests[turn++ % requests.length] as Buffer);
    const now = performance.now();
    if (since < measureFrom || since >= until) return;
    statuses[status] = (statuses[status] ?? 0) + 1;
    latencies.push(now - since);
  };

  const connections: Connection[] = [];
  const open = () => {
    const connection = new Connection(hostname, Number(port));
    connections.push(connection);
    return connection;
  };

  if (job.once === true) {
    const since = performance.now();
    await Promise.all(
      Array.from({ length: job.connections }, async () => {
        const connection = open();
        for (let at = turn++; at < requests.length; at = turn++) {
          // Timed from when all began: who waits for a connection waits for an answer.
          for (let status = 0; !DONE.test(String(status)); ) {
            status = await connection.send(requests[at] as Buffer);
            statuses[status] = (statuses[status] ?? 0) + 1;
            if (!DONE.test(String(status))) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
          }
          latencies.push(performance.now() - since);
        }
      }),
    );
  } else if (job.rate === undefined) {
    await Promise.all(
      Array.from({ length: job.connections }, async () => {
        const connection = open();
        for (let now = performance.now(); now < until; now = performance.now()) await one(connection, now);
      }),
    );
  } else {
    const free: Connection[] = [];
    const running = new Set<Promise<void>>();
    const everyMs = 1000 / job.rate;
    for (let due = started; due < until; due += everyMs) {
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      while (free.length === 0 && connections.length >= (job.mostConnections ?? Number.POSITIVE_INFINITY))
        await Promise.race(running);
      const connection = free.pop() ?? open();
      const call = one(connection, due).finally(() => {
        free.push(connection);
        running.delete(call);
      });
      running.add(call);
    }
    await Promise.all(running);
  }
  for (const connection of connections) connection.close();

  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return {
    requests: latencies.length,
    perSecond: (latencies.length / job.durationMs) * 1000,
    statuses,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    durationMs: performance.now() - started,
  };
}

process.on('message', (job: LoadJob) => {
  void run(job).then((result) => {
    process.send?.(result);
  });
});
