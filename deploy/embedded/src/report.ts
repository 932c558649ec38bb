/** What `npm start` says on the terminal once it is ready: what runs where, in which mode, and how to stop it. Pure. */
import { SERVICES, type ServiceName } from '@molecule/contracts';
import type { Mode } from '@molecule/service';

export interface Running {
  readonly url: string;
  readonly ports: Readonly<Record<ServiceName, number>>;
  readonly database: { readonly title: string; readonly address: string };
  readonly bus: { readonly title: string; readonly address: string };
  readonly backend: string;
  readonly mode: Mode;
  readonly adminTokenSet: boolean;
  readonly home: string;
  readonly logFile: string;
  readonly tookMs: number;
}

const MODES: Record<Mode, (running: Running) => string> = {
  development: () => 'DEVELOPMENT: every door is open to whoever reaches this machine. Never put it on a network.',
  default: ({ adminTokenSet }) =>
    adminTokenSet
      ? 'default: admin routes need ADMIN_TOKEN; open stay the canvas socket, A2A without a caller, GET /workspaces/:id'
      : 'default: open until the first token exists (set ADMIN_TOKEN)',
  production: () => 'production',
};

const BACKENDS: Readonly<Record<string, string>> = {
  docker: 'docker (each agent is a container)',
  process: 'process (each agent is a process of this machine, with your rights)',
  none: 'none (no agents are started here)',
};

export function report(running: Running): string {
  const { url, ports, database, bus, backend, mode, home, logFile, tookMs } = running;
  const rows: readonly (readonly [string, string])[] = [
    ...SERVICES.map((name) => [name, name === 'gateway' ? url : `http://127.0.0.1:${ports[name]}`] as const),
    ['database', `${database.address}  ${database.title}`],
    ['bus', `${bus.address}  ${bus.title}`],
    ['backend', BACKENDS[backend] ?? backend],
    ['mode', MODES[mode](running)],
    ['data', home],
    ['log', logFile],
  ];
  return [
    '',
    `Molecule is ready at ${url} (after ${(tookMs / 1000).toFixed(1)} s)`,
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(12)}${value}`),
    '',
    'Stop it with Ctrl-C. Ask it how it is with: npm run molecule -- status',
    '',
  ].join('\n');
}
