/** Starts that cannot go well: a wrong environment, a port that is taken, servers that are not there yet. Each says what to do. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICES, type ServiceName } from '@molecule/contracts';
import { startNats, startPostgres } from '@molecule/embedded-servers';
import { freePort, testLog, waitFor } from '@molecule/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from './harness/cluster.ts';
import { ServiceProcess } from './harness/service-process.ts';

const KEY = 'a key for end-to-end tests, long enough';

const started: ServiceProcess[] = [];
const start = (service: ServiceName, env: Readonly<Record<string, string>>): ServiceProcess => {
  const one = new ServiceProcess(service, env);
  started.push(one);
  return one;
};

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
});

describe('an environment with mistakes', () => {
  const WRONG = {
    PORT: 'eighty',
    OPS_PORT: '99999',
    NATS_URL: 'http://nats',
    DATABASE_URL: 'mysql://root:hidden@db/x',
    LOG_LEVEL: 'loud',
    MOLECULE_INTERNAL_KEY: 'too-short-a-secret',
    REGISTRY_URL: 'ftp://registry',
    LIVENESS_LEASE_SECONDS: '-5',
    SCHEDULER_TICK_SECONDS: 'soon',
    SWEEP_INTERVAL_SECONDS: '0',
    PROVISIONER_BACKEND: 'kubernetes',
  } as const;
  const PORT = 'a port, 0 to 65535; 0 takes any free one';
  const SECONDS = 'a number of seconds above 0';
  const COMMON = [
    `PORT: got "eighty"; allowed: ${PORT}`,
    `OPS_PORT: got "99999"; allowed: ${PORT}`,
    'NATS_URL: got "http://nats"; allowed: a URL such as nats://127.0.0.1:4222',
    'LOG_LEVEL: got "loud"; allowed: fatal, error, warn, info, debug, trace, silent',
    'MOLECULE_INTERNAL_KEY: got a value that is not shown; allowed: at least 32 characters, the same for every service',
  ];
  const DATABASE =
    'DATABASE_URL: got a value that is not shown; allowed: a URL such as postgres://user:password@127.0.0.1:5432/molecule';
  const LEASE = `LIVENESS_LEASE_SECONDS: got "-5"; allowed: ${SECONDS}`;
  const OWN: Readonly<Record<ServiceName, readonly string[]>> = {
    gateway: ['REGISTRY_URL: got "ftp://registry"; allowed: a URL such as http://127.0.0.1:8082,http://10.0.0.2:8082'],
    registry: [DATABASE, LEASE],
    'a2a-proxy': [DATABASE, LEASE],
    scheduler: [DATABASE, LEASE, `SCHEDULER_TICK_SECONDS: got "soon"; allowed: ${SECONDS}`],
    provisioner: [DATABASE, 'PROVISIONER_BACKEND: got "kubernetes"; allowed: auto, docker, process, none'],
    sweeper: [DATABASE, LEASE, `SWEEP_INTERVAL_SECONDS: got "0"; allowed: ${SECONDS}`],
  };

  it.each(SERVICES)('ends %s at once, all of them told, and no secret', async (service) => {
    const one = start(service, WRONG);
    expect(await one.ends()).toBe(1);
    const [title, ...mistakes] = one.output.trimEnd().split('\n');
    expect(title).toBe(`${service}: the environment is not a valid configuration:`);
    expect(mistakes.map((mistake) => mistake.trim()).toSorted()).toEqual([...COMMON, ...OWN[service]].toSorted());
    expect(one.output).not.toMatch(/hidden|too-short/);
  });

  it('says what is missing', async () => {
    const one = start('registry', {});
    expect(await one.ends()).toBe(1);
    for (const name of ['DATABASE_URL', 'MOLECULE_INTERNAL_KEY']) expect(one.output).toContain(`${name}: got nothing; allowed: `);
  });
});

describe('with the servers there', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    // The specification wants the default and a warning here (spec 2 §1.7).
    cluster = await Cluster.start({ env: { A2A_IDLE_TIMEOUT_SECONDS: '60s' } });
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  it('a value that has a default to fall back on is warned of', async () => {
    const lines = await cluster.log('a2a-proxy-0');
    const warning = lines.find((line) => line.includes('"level":"warn"') && line.includes('A2A_IDLE_TIMEOUT_SECONDS'));
    expect(warning).toContain('60s');
  });

  it.each(['PORT', 'OPS_PORT'])('a taken %s is named, and ends the start', async (name) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const one = start('scheduler', { ...cluster.env(), PORT: '0', OPS_PORT: '0', [name]: `${port}` });
    expect(await one.ends()).toBe(1);
    taken.close();
    expect(one.output).toContain('"msg":"could not start"');
    const what = `cannot listen on 127.0.0.1:${port}: the port is in use`;
    expect(one.output).toContain(`${what}. Stop what listens there, or set ${name} to a free port.`);
  });
});

describe('without the servers', () => {
  it('waits, says for which and where, and is ready when they are there', async () => {
    const home = await mkdtemp(join(tmpdir(), 'molecule-start-up-'));
    const [database, bus] = [
      { dir: join(home, 'postgres'), port: await freePort(), log: testLog(), durable: false },
      { dir: join(home, 'nats'), port: await freePort(), log: testLog() },
    ];
    const servers: { stop(): Promise<void> }[] = [];
    try {
      // Once, to know how they are reached.
      const [postgres, nats] = await Promise.all([startPostgres(database), startNats(bus)]);
      const [DATABASE_URL, NATS_URL] = [postgres.url, nats.url];
      await Promise.all([postgres.stop(), nats.stop()]);

      const env = { DATABASE_URL, NATS_URL, MOLECULE_INTERNAL_KEY: KEY, PORT: '0', LOG_LEVEL: 'info' };
      const withPorts = async () => ({ ...env, OPS_PORT: `${await freePort()}` });
      const [registry, gateway, scheduler] = [
        start('registry', await withPorts()),
        start('gateway', await withPorts()),
        start('scheduler', await withPorts()),
      ];
      for (const one of [registry, gateway, scheduler]) {
        const waiting = await one.says('waiting for NATS');
        expect(waiting, one.service).toMatchObject({
          level: 'warn',
          servers: [expect.stringContaining(`127.0.0.1:${bus.port}`)],
        });
      }

      servers.push(await startNats(bus));
      for (const one of [registry, scheduler]) {
        const waiting = await one.says('waiting for PostgreSQL');
        expect(waiting, one.service).toMatchObject({
          level: 'warn',
          where: expect.stringContaining(`127.0.0.1:${database.port}`),
        });
      }
      // Not one line only: whoever looks later is told, too.
      await waitFor(() => registry.said('waiting for PostgreSQL').length > 1, {
        timeoutMs: 20_000,
        what: 'the registry to say it again',
      });

      servers.push(await startPostgres(database));
      for (const one of [registry, gateway, scheduler]) await one.ready();
      const passwords = [DATABASE_URL, NATS_URL].map((url) => new URL(url).password);
      for (const one of [registry, gateway, scheduler]) {
        expect(one.runs, one.service).toBe(true);
        for (const password of passwords) expect(one.output.includes(password), `${one.service} says a password`).toBe(false);
        expect(await one.stop(), one.service).toBe(0);
      }
    } finally {
      await Promise.all(started.splice(0).map((one) => one.stop()));
      await Promise.all(servers.map((server) => server.stop()));
      await rm(home, { recursive: true, force: true });
    }
  });
});
