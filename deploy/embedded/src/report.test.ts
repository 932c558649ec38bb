/** The table at the start tells what runs where, and never a password. */
import { describe, expect, it } from 'vitest';
import { type Running, report } from './report.ts';
import { withoutSecrets } from './servers.ts';

const running: Running = {
  url: 'http://127.0.0.1:8080',
  ports: { gateway: 8080, registry: 1, 'a2a-proxy': 2, scheduler: 3, provisioner: 4, sweeper: 5 },
  database: { title: 'PostgreSQL 18 (embedded)', address: 'postgres://127.0.0.1:6/molecule' },
  bus: { title: 'NATS 2.9.10 (embedded)', address: 'nats://127.0.0.1:7' },
  backend: 'process',
  mode: 'development',
  adminTokenSet: false,
  home: '/data',
  logFile: '/data/logs/molecule.log',
  tookMs: 1_234,
};

describe('the report', () => {
  it('has a line for each service and server', () => {
    const lines = report(running).split('\n');
    expect(lines[1]).toBe('Molecule is ready at http://127.0.0.1:8080 (after 1.2 s)');
    expect(lines.filter((line) => line.startsWith('  ')).map((line) => line.trim().split(/\s+/)[0])).toEqual([
      ...['gateway', 'registry', 'a2a-proxy', 'scheduler', 'provisioner', 'sweeper'],
      ...['database', 'bus', 'backend', 'mode', 'data', 'log'],
    ]);
    expect(report(running)).toContain('Ctrl-C');
  });
  it('is loud about development', () => expect(report(running)).toContain('DEVELOPMENT'));
  it('says whether the default mode is open', () => {
    expect(report({ ...running, mode: 'default' })).toContain('open until the first token');
    const guarded = report({ ...running, mode: 'default', adminTokenSet: true });
    expect(guarded).toContain('admin routes need ADMIN_TOKEN');
    for (const open of ['canvas socket', 'A2A without a caller', 'GET /workspaces/:id']) expect(guarded).toContain(open);
  });
});

describe('an address for people', () => {
  it.each([
    ['postgres://user:secret@db:5432/molecule', 'postgres://db:5432/molecule'],
    ['nats://u:p@a:4222, nats://b:4222', 'nats://a:4222,nats://b:4222'],
  ])('%s', (url, shown) => expect(withoutSecrets(url)).toBe(shown));
});
