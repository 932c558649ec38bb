/** `npm run reference`: starts everything once in a directory of its own, asks it what it answers, and writes that to `docs/reference`. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gapsOf } from '@molecule/reference';
import { Scope } from '@molecule/service';
import { keptInternalKey, openHome } from './home.ts';
import { openLog } from './log.ts';
import { documented, REFERENCE_DIR, referenceFiles } from './reference.ts';
import { openServers } from './servers.ts';
import { openServices } from './services.ts';
import { forServices, readSettings } from './settings.ts';

const dir = mkdtempSync(join(tmpdir(), 'molecule-reference-'));
// The embedded database may run as somebody else, who has to get through.
chmodSync(dir, 0o711);
const scope = new Scope();
try {
  const settings = readSettings({
    PATH: process.env['PATH'],
    ...(process.env['NATS_URL'] !== undefined && { NATS_URL: process.env['NATS_URL'] }),
    MOLECULE_HOME: dir,
    PORT: '0',
    PROVISIONER_BACKEND: 'none',
    LOG_LEVEL: 'error',
  });
  const home = openHome(dir);
  const log = openLog(home, settings.LOG_LEVEL);
  const { database, bus } = await openServers(settings, home, log, scope);
  const found = { databaseUrl: database.url, natsUrl: bus.url, internalKey: keptInternalKey(home) };
  const configs = forServices({ env: settings.env, home: dir }, found);
  const services = documented(await openServices(configs, { log, level: settings.LOG_LEVEL }, scope));
  mkdirSync(REFERENCE_DIR, { recursive: true });
  for (const [name, text] of Object.entries(referenceFiles(services))) {
    writeFileSync(join(REFERENCE_DIR, name), text);
    console.log(`docs/reference/${name}`);
  }
  const gaps = gapsOf(services);
  for (const gap of gaps) console.error(gap);
  if (gaps.length > 0) process.exitCode = 1;
} finally {
  await scope.close();
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
