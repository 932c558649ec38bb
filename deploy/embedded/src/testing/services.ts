/** The six services of one process over a test's own servers, and what they say of themselves. */
import type { DocumentedService } from '@molecule/reference';
import { Scope } from '@molecule/service';
import { it as base, temporaryDir } from '@molecule/testkit';
import { documented } from '../reference.ts';
import { openServices } from '../services.ts';
import { forServices } from '../settings.ts';

export const ADMIN_TOKEN = 'a token of the operator';
export const WEBHOOK_SECRET = 'what GitHub signs with';

export interface Together {
  /** Where the gateway listens. */
  readonly url: string;
  readonly documented: readonly DocumentedService[];
}

/** `it` with the six, and these settings besides. */
export const withSettings = (settings: Readonly<Record<string, string>>) =>
  base.extend('together', async ({ postgresUrl, natsUrl, log }, { onCleanup }): Promise<Together> => {
    const { dir, remove } = temporaryDir();
    const scope = new Scope();
    onCleanup(async () => {
      await scope.close();
      remove();
    });
    const env = { PORT: '0', PROVISIONER_BACKEND: 'none', ADMIN_TOKEN, GITHUB_WEBHOOK_SECRET: WEBHOOK_SECRET, ...settings };
    const internalKey = 'a key that only tests use, long enough';
    const configs = forServices({ env, home: dir }, { databaseUrl: postgresUrl, natsUrl, internalKey });
    const services = await openServices(configs, { log, level: 'silent' }, scope);
    return { url: `http://127.0.0.1:${services.gateway.port}`, documented: documented(services) };
  });

export const it = withSettings({});
