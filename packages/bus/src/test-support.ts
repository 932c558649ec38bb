/**
 * For this package's tests: a NATS server that is real, and killed or frozen on command; facts and beats to send.
 * The testkit stands on this package, so its own tests do not stand on the testkit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyRecordedFact, HeartbeatBody, type RecordedFact } from '@molecule/contracts';
import { createLog, type Log } from '@molecule/service';
import { onTestFinished, test } from 'vitest';
import { type Bus, openBus } from './connection.ts';
import { ensureStreams } from './streams.ts';

/** `it` with a server and a connection of its own. */
export const it = test.extend<{ nats: NatsProcess; bus: Bus; log: Log; lines: LogLines }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants it so
  nats: async ({}, use) => {
    const nats = await NatsProcess.start();
    await use(nats);
    await nats.stop();
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants it so
  lines: async ({}, use) => use(new LogLines()),
  log: async ({ lines }, use) => use(createLog({ service: 'test', level: 'info', destination: lines })),
  bus: async ({ nats, log }, use) => {
    const bus = await openBus({ servers: nats.url, name: 'test', log });
    await ensureStreams(bus);
    await use(bus);
    await bus.close();
  },
});

/** What was logged. */
export class LogLines {
  readonly all: Record<string, unknown>[] = [];

  write(line: string): void {
    this.all.push(JSON.parse(line) as Record<string, unknown>);
  }

  saying(text: string): Record<string, unknown>[] {
    return this.all.filter(({ msg }) => msg === text);
  }
}

/** A signal that is aborted when the test is over. */
export function signalOfTest(): AbortSignal {
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  return stopping.signal;
}

/** Waits for `what` to be so; says what it is instead when it does not come in time. */
export async function eventually(what: () => boolean, show: () => unknown = () => '', withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!what()) {
    if (performance.now() > until) throw new Error(`it did not come to be within ${withinMs} ms: ${JSON.stringify(show())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const aWorkspaceId = (): string => randomUUID();

/** The `version`-th fact of a workspace. */
export const moved = (workspaceId: string, version: number): AnyRecordedFact =>
  ({ ...recorded(workspaceId, version), type: 'workspace.moved', data: { parentId: null } }) as AnyRecordedFact;

export const recorded = (workspaceId: string, version: number): Omit<RecordedFact, 'type' | 'data'> => ({
  id: randomUUID(),
  stream: `workspace.${workspaceId}`,
  version,
  schema: 1,
  workspaceId,
  recordedAt: '2026-11-22T12:00:00.000Z',
  commandId: randomUUID(),
  correlationId: 'request-1',
  causationId: null,
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
});

export const aBeat = (workspaceId: string, more: Record<string, unknown> = {}): HeartbeatBody =>
  HeartbeatBody.parse({ workspace_id: workspaceId, ...more });

export class NatsProcess {
  readonly url: string;
  readonly #port: number;
  readonly #dir: string;
  readonly #more: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, dir: string, more: readonly string[]) {
    this.#more = more;
    this.#port = port;
    this.#dir = dir;
    this.url = `nats://127.0.0.1:${port}`;
  }

  static async start(more: readonly string[] = []): Promise<NatsProcess> {
    const nats = new NatsProcess(await freePort(), await mkdtemp(join(tmpdir(), 'bus-nats-')), more);
    await nats.up();
    return nats;
  }

  /** Begins with what the last one had stored. */
  async up(): Promise<void> {
    this.#child = spawn('nats-server', ['-a', '127.0.0.1', '-p', `${this.#port}`, '-js', '-sd', this.#dir, ...this.#more], {
      stdio: 'ignore',
    });
    while (!(await accepts(this.#port))) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** It holds its connections and answers nothing, as behind a broken link. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#end('SIGKILL');
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = dial(port, '127.0.0.1');
    const answer = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
