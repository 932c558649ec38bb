/** A PostgreSQL of a test's own, to be killed and restarted under what uses it. The port stays the same. */
import { type EmbeddedServer, endProcess, freePort, markOf, startPostgres } from '@molecule/embedded-servers';
import { temporaryDir, testLog } from './servers.ts';

export interface DatabaseServer {
  readonly url: string;
  /** kill -9 of the postmaster; it comes back by itself. Resolves when the old process is gone. */
  kill(): Promise<void>;
  /** Stops it in order and leaves it down, until `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it for good and deletes its data. */
  dispose(): Promise<void>;
}

export async function withPostgres({ durable = false }: { readonly durable?: boolean } = {}): Promise<DatabaseServer> {
  const { dir, remove } = temporaryDir();
  const port = await freePort();
  const open = (): Promise<EmbeddedServer> => startPostgres({ dir, port, durable, log: testLog() });
  let server = await open();
  return {
    url: server.url,
    kill: () => killed(server),
    stop: () => server.stop(),
    start: async () => {
      server = await open();
    },
    dispose: async () => {
      await server.stop();
      remove();
    },
  };
}

/** kill -9 of an embedded server's process. */
export async function killed(server: EmbeddedServer): Promise<void> {
  const mark = server.pid === undefined ? undefined : markOf(server.pid);
  if (!mark) throw new Error('there is no process to kill');
  await endProcess(mark, 'SIGKILL', 5_000);
}
