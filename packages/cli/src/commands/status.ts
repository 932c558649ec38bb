/** `molecule status`: the six services, what they stand on, and whether all of it is ready. */
import { SERVICES, ServiceHealth } from '@molecule/contracts';
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { oneLine, painter, table } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

export const status: Command = {
  name: 'status',
  summary: 'six services, database, bus and backend: is everything ready?',
  options: { ...urlOption, ...jsonOption },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const services = await api.get('/admin/health', z.array(ServiceHealth));
    const ready = isReady(services);
    if (values['json'] === true) terminal.out(JSON.stringify({ url: api.target.url, ready, services }));
    else for (const line of statusLines(services, api.target.url, terminal)) terminal.out(line);
    return ready ? 0 : 1;
  },
};

/** All six services say that they are ready. */
export const isReady = (services: readonly ServiceHealth[]): boolean =>
  SERVICES.every((name) => services.some(({ service, ready }) => service === name && ready));

/** What services stand on, in the order a person asks for it; others follow by name. */
const FIRST = ['database', 'bus', 'backend'];

export function statusLines(services: readonly ServiceHealth[], url: string, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const state = (ok: boolean, good: string, bad: string) => (ok ? paint('green', good) : paint('red', bad));
  const rows = SERVICES.map((name) => {
    const health = services.find(({ service }) => service === name);
    return [name, state(health?.ready === true, 'ready', health ? 'not ready' : 'unknown'), troubles(health)];
  });
  const foundations = foundationsOf(services).map(({ name, ok, detail }) => [
    name,
    state(ok, 'ok', 'in trouble'),
    oneLine(detail, 100),
  ]);
  const verdict = isReady(services) ? paint('green', 'Everything is ready.') : paint('red', 'Not everything is ready.');
  return [`Molecule at ${paint('bold', url)}`, '', ...table([...rows, ...foundations]), '', verdict];
}

const troubles = (health: ServiceHealth | undefined): string =>
  Object.entries(health?.checks ?? {})
    .filter(([, { ok }]) => !ok)
    .map(([name, { detail }]) => `${name}: ${oneLine(detail, 100)}`)
    .join('; ');

/** Each thing that services check, once: in trouble when any of them says so. */
function foundationsOf(services: readonly ServiceHealth[]): { name: string; ok: boolean; detail: string }[] {
  const byName = new Map<string, { name: string; ok: boolean; detail: string }>();
  for (const { service, checks } of services) {
    for (const [name, { ok, detail }] of Object.entries(checks)) {
      const known = byName.get(name);
      if (known === undefined) byName.set(name, { name, ok, detail: ok ? detail : `${service}: ${detail}` });
      else if (known.ok && !ok) Object.assign(known, { ok, detail: `${service}: ${detail}` });
    }
  }
  const rank = ({ name }: { name: string }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return [...byName.values()].toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}
