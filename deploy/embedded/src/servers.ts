/** The servers Molecule stands on: those it is given, else its own. */
import { startNats, startPostgres } from '@molecule/embedded-servers';
import type { Log, Scope } from '@molecule/service';
import type { Home } from './home.ts';
import type { Settings } from './settings.ts';
import { openTogether } from './together.ts';

export interface Server {
  readonly url: string;
  /** For people. */
  readonly title: string;
  readonly embedded: boolean;
}

export async function openServers(
  { DATABASE_URL: databaseUrl, NATS_URL: natsUrl, PATH: searchPath }: Settings,
  home: Home,
  log: Log,
  scope: Scope,
): Promise<{ readonly database: Server; readonly bus: Server }> {
  return openTogether<{ database: Server; bus: Server }>(scope, {
    database: async (own) => {
      if (databaseUrl !== undefined) return { url: databaseUrl, title: 'PostgreSQL (DATABASE_URL)', embedded: false };
      const { url } = await own.open(
        () => startPostgres({ dir: home.postgres, log }),
        (server) => server.stop(),
      );
      return { url, title: 'PostgreSQL 18 (embedded)', embedded: true };
    },
    bus: async (own) => {
      if (natsUrl !== undefined) return { url: natsUrl, title: 'NATS (NATS_URL)', embedded: false };
      const { url, version } = await own.open(
        () => startNats({ dir: home.nats, log, searchPath, binDir: home.bin }),
        (server) => server.stop(),
      );
      return { url, title: `NATS ${version} (embedded)`, embedded: true };
    },
  });
}

/** Without user and password. */
export const withoutSecrets = (url: string): string =>
  url
    .split(',')
    .map((part) => {
      const { protocol, host, pathname } = new URL(part.trim());
      return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
    })
    .join(',');
