/** `molecule rebuild [--check]`: fills the read models anew from the log, or only compares them with it (I3). */
import { RebuildReport } from '@molecule/contracts';
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { oneLine, painter, table } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

export const Rebuilt = z.object({
  check: z.boolean(),
  reports: z.array(RebuildReport),
  /** Services that could not do it, and why. */
  failed: z.array(z.object({ service: z.string(), error: z.string() })),
});
export type Rebuilt = z.infer<typeof Rebuilt>;

/** A rebuild reads whole logs. */
const TIMEOUT_MS = 15 * 60_000;

export const rebuild: Command = {
  name: 'rebuild',
  summary: 'fill the read models anew from the log; with --check only compare',
  options: {
    check: { type: 'boolean', help: 'change nothing, show the differences; exit code 1 if there are any' },
    service: { type: 'string', value: 'name', help: 'only this service' },
    ...urlOption,
    ...jsonOption,
  },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const query = new URLSearchParams();
    if (values['check'] === true) query.set('check', '1');
    const service = textOf(values, 'service');
    if (service !== undefined) query.set('service', service);
    const result = await api.post(`/admin/rebuild${query.size > 0 ? `?${query}` : ''}`, Rebuilt, TIMEOUT_MS);
    if (values['json'] === true) terminal.out(JSON.stringify(result));
    else for (const line of rebuildLines(result, terminal)) terminal.out(line);
    return result.failed.length > 0 || (result.check && differences(result) > 0) ? 1 : 0;
  },
};

const differences = ({ reports }: Rebuilt): number =>
  reports.flatMap(({ projections }) => projections).reduce((sum, { missing, unexpected }) => sum + missing + unexpected, 0);

export function rebuildLines(result: Rebuilt, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const lines: string[] = [];
  const rows = [['SERVICE', 'PROJECTION', 'TABLE', 'ROWS', 'MISSING', 'UNEXPECTED'].map((title) => paint('dim', title))];
  for (const { service, projections } of result.reports) {
    for (const { projection, table, rows: n, missing, unexpected } of projections)
      rows.push([service, projection, table, String(n), difference(missing), difference(unexpected)]);
  }
  if (rows.length > 1) lines.push(...table(rows), '');
  for (const { projections } of result.reports) {
    for (const { table, examples } of projections) lines.push(...examples.map((example) => `  ${table}: ${oneLine(example)}`));
  }
  for (const { service, error } of result.failed) lines.push(paint('red', `${service}: ${oneLine(error)}`));
  const facts = result.reports.reduce((sum, report) => sum + report.facts, 0);
  const found = differences(result);
  if (!result.check) lines.push(`Rebuilt from ${facts} facts.`);
  else if (found === 0) lines.push(paint('green', `Equal: ${facts} facts yield the tables as they are.`));
  else lines.push(paint('red', `Different: ${found} rows. \`molecule rebuild\` fills the tables anew.`));
  return lines;

  function difference(n: number): string {
    return n === 0 ? '0' : paint('red', String(n));
  }
}
