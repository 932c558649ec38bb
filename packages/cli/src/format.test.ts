/** What people see: tables, colours, and text of others that must not play with the terminal. */
import type { ServiceHealth } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { auditLines } from './commands/audit.ts';
import { doctorLines } from './commands/doctor.ts';
import { freeSpace, natsVersion, nodeVersion } from './commands/doctor-checks.ts';
import { eventLine, Printer } from './commands/events.ts';
import { rebuildLines } from './commands/rebuild.ts';
import { isReady, statusLines } from './commands/status.ts';
import { manyLines, oneLine, painter, table } from './format.ts';
import { recorded } from './testing/terminal.ts';

const plain = { colours: false };

describe('a table', () => {
  it('has its columns aligned, whatever colour they are', () => {
    const green = painter({ colours: true })('green', 'ok');
    expect(
      table(
        [
          ['a', green, 'x'],
          ['long', 'bad', ''],
          ['b', 'ok', 'y'],
        ],
        '',
      ),
    ).toEqual([`a     ${green}   x`, 'long  bad', 'b     ok   y']);
  });

  it('has no colours where nobody watches', () => expect(painter(plain)('red', 'text')).toBe('text'));
});

describe('text of others', () => {
  it('stays on its line and moves no cursor', () => {
    expect(oneLine('a\nb\u001b[2Jc\u009b1m\u007f')).toBe(String.raw`a\nb\u001b[2Jc\u009b1m\u007f`);
    expect(oneLine('x'.repeat(300), 10)).toBe('xxxxxxxxx…');
  });

  it('has its own lines where there are many, and moves no cursor either', () => {
    expect(manyLines('a\r\n\tb\nc\rd\u001b]52;c;x\u0007\u009b1m')).toBe(`a\n\tb\nc${String.raw`\rd\u001b]52;c;x\u0007\u009b1m`}`);
  });
});

const health = (service: ServiceHealth['service'], checks: ServiceHealth['checks'], ready = true): ServiceHealth => ({
  service,
  instance: `${service}-1`,
  ready,
  checks,
  loops: {},
});

const six = (['gateway', 'registry', 'a2a-proxy', 'scheduler', 'provisioner', 'sweeper'] as const).map((service) =>
  health(service, {
    bus: { ok: true, detail: 'NATS 2.9.10' },
    ...(service === 'gateway' ? {} : { database: { ok: true, detail: 'PostgreSQL 18' } }),
    ...(service === 'provisioner' ? { backend: { ok: true, detail: 'process' } } : {}),
  }),
);

describe('the status', () => {
  it('shows six services, and what they stand on', () => {
    expect(isReady(six)).toBe(true);
    expect(statusLines(six, 'http://here', plain)).toEqual([
      'Molecule at http://here',
      '',
      '  gateway      ready',
      '  registry     ready',
      '  a2a-proxy    ready',
      '  scheduler    ready',
      '  provisioner  ready',
      '  sweeper      ready',
      '  database     ok     PostgreSQL 18',
      '  bus          ok     NATS 2.9.10',
      '  backend      ok     process',
      '',
      'Everything is ready.',
    ]);
  });

  it('says what is wrong, and with whom', () => {
    const broken = six.map((one) =>
      one.service === 'registry' ? health('registry', { database: { ok: false, detail: 'refused\nby 127.0.0.1' } }, false) : one,
    );
    const lines = statusLines(broken.slice(0, 5), 'http://here', plain);
    expect(isReady(broken)).toBe(false);
    expect(lines).toContain('  registry     not ready   database: refused\\nby 127.0.0.1');
    expect(lines).toContain('  sweeper      unknown');
    expect(lines).toContain('  database     in trouble  registry: refused\\nby 127.0.0.1');
    expect(lines.at(-1)).toBe('Not everything is ready.');
  });
});

describe('the audit', () => {
  const even = {
    accepted: 12,
    completed: 8,
    failed: 1,
    dropped: 1,
    open: 2,
    byOutcome: { answered: 7 },
    balanced: true,
    unbalanced: [],
  };

  it('shows the sums', () => {
    const lines = auditLines(even, plain);
    expect(lines.slice(0, 6)).toEqual([
      'Messages',
      '  accepted   12',
      '  completed   8',
      '  failed      1',
      '  dropped     1',
      '  open        2',
    ]);
    expect(lines.at(-1)).toContain('Balanced');
  });

  it('names messages that did not end once, but not a thousand', () => {
    const unbalanced = Array.from({ length: 30 }, (_, n) => ({ messageId: `m${n}` }));
    const lines = auditLines({ ...even, balanced: false, byOutcome: { unbalanced: 45 }, unbalanced }, plain);
    expect(lines).toContain('  {"messageId":"m0"}');
    expect(lines).toContain('Not balanced: 45 messages did not end exactly once.');
    expect(lines.at(-1)).toBe('  … and 25 more');
  });
});

describe('a rebuild', () => {
  const projection = {
    projection: 'registry.workspaces.v1',
    table: 'workspaces',
    rows: 3,
    missing: 0,
    unexpected: 0,
    examples: [],
  };
  const reports = [{ service: 'registry', facts: 9, projections: [projection] }];

  it('that found everything equal says so', () => {
    const lines = rebuildLines({ check: true, reports, failed: [] }, plain);
    expect(lines.at(-1)).toBe('Equal: 9 facts yield the tables as they are.');
    expect(lines[1]).toBe('  registry  registry.workspaces.v1  workspaces  3     0        0');
  });

  it('that did not shows how much and an example', () => {
    const different = { ...projection, missing: 2, unexpected: 1, examples: ['+ {"id":1}'] };
    const lines = rebuildLines({ check: true, reports: [{ ...reports[0]!, projections: [different] }], failed: [] }, plain);
    expect(lines).toContain('  workspaces: + {"id":1}');
    expect(lines.at(-1)).toContain('Different: 3 rows.');
  });

  it('names who could not', () =>
    expect(rebuildLines({ check: false, reports: [], failed: [{ service: 'sweeper', error: 'no answer' }] }, plain)).toEqual([
      'sweeper: no answer',
      'Rebuilt from 0 facts.',
    ]));
});

describe('an event', () => {
  const frame = { event: 'WORKSPACE_ONLINE', workspace_id: 'w', timestamp: '2026-11-22T12:00:00.123Z', payload: { url: 'x' } };

  it('is one line', () => {
    expect(eventLine({ ...frame, payload: {} }, plain)).toMatch(/^2026-11-22 12:00:00\.123Z +WORKSPACE_ONLINE +w$/);
    expect(eventLine(frame, plain)).toMatch(/ w +\{"url":"x"\}$/);
  });

  it('is shown once, also when the log tells it again with another spelling of its time', () => {
    const terminal = recorded();
    const printer = new Printer(terminal, { json: true, workspace: 'w' });
    printer.print(frame);
    printer.print({ ...frame, timestamp: '2026-11-22T13:00:00.123+01:00' });
    printer.print({ ...frame, payload: { url: 'y' } });
    printer.print({ ...frame, workspace_id: 'other' });
    expect(terminal.lines.map((line) => JSON.parse(line).payload.url)).toEqual(['x', 'y']);
  });
});

describe('the doctor', () => {
  it.each([
    ['24.1.0', 'ok'],
    ['22.20.0', 'warning'],
    ['18.0.0', 'bad'],
  ])('finds Node %s %s', (version, state) => expect(nodeVersion(version).state).toBe(state));

  it.each([
    ['nats-server: v2.9.10', 'ok'],
    ['nats-server: v2.15.1', 'ok'],
    ['nats-server: v2.8.4', 'bad'],
    ['nats-server: v3.0.0', 'ok'],
    ['something else', 'bad'],
  ])('finds %s %s', (text, state) => expect(natsVersion(text).state).toBe(state));

  it.each([
    [0.5, 'bad'],
    [3, 'warning'],
    [50, 'ok'],
  ])('finds %s GiB %s', (gib, state) => expect(freeSpace({ bavail: gib * 1024 ** 2, bsize: 1024 }).state).toBe(state));

  it('says how to mend what is missing', () => {
    const lines = doctorLines(
      [
        { name: 'Node', state: 'ok', detail: '24' },
        { name: 'nats-server', state: 'bad', detail: 'not found', mend: 'sudo apt-get install nats-server' },
      ],
      plain,
    );
    expect(lines).toEqual([
      '  ok       Node         24',
      '  missing  nats-server  not found',
      '',
      'To mend it:',
      '  nats-server  sudo apt-get install nats-server',
      '',
      'Molecule cannot run here yet.',
    ]);
  });
});
