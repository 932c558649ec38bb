/** A nats-server of a test's own, to be killed and restarted under what uses it. Port and stored messages stay. */
import { freePort } from '@molecule/embedded-servers';
import { killed } from './own-postgres.ts';
import { natsForTest, temporaryDir } from './servers.ts';

export interface NatsServer {
  readonly url: string;
  readonly version: string;
  /** kill -9; it comes back by itself. Resolves when the old process is gone. */
  kill(): Promise<void>;
  /** Stops it in order and leaves it down, until `start`. */
  stop(): Promise<void>;
  /** With what it had stored, or with an empty disk. */
  start(options?: { readonly empty?: boolean }): Promise<void>;
  /** Stops it for good and deletes its data. */
  dispose(): Promise<void>;
}

/** @throws Missing when this machine has no nats-server */
export async function withNats(): Promise<NatsServer> {
  const dirs = [temporaryDir()];
  const port = await freePort();
  const open = () => natsForTest(dirs.at(-1)?.dir ?? '', port);
  let server = await open();
  return {
    url: server.url,
    version: server.version,
    kill: () => killed(server),
    stop: () => server.stop(),
    start: async ({ empty = false } = {}) => {
      if (empty) dirs.push(temporaryDir());
      server = await open();
    },
    dispose: async () => {
      await server.stop();
      for (const { remove } of dirs) remove();
    },
  };
}
