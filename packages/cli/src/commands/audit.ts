/** `molecule audit`: every accepted message ends exactly once (I1): accepted = completed + failed + dropped + open. */
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { count, oneLine, painter, table } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

export const Audit = z.looseObject({
  accepted: z.number(),
  completed: z.number(),
  failed: z.number(),
  dropped: z.number(),
  open: z.number(),
  /** How many messages ended in which way. */
  byOutcome: z.record(z.string(), z.number()).default({}),
  balanced: z.boolean(),
  /** The messages that did not end exactly once, or a few of them. */
  unbalanced: z.array(z.unknown()).default([]),
});
export type Audit = z.infer<typeof Audit>;

export const audit: Command = {
  name: 'audit',
  summary: 'prove from the log that every accepted message ended exactly once',
  options: { ...urlOption, ...jsonOption },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const report = await api.get('/admin/audit', Audit, 60_000);
    if (values['json'] === true) terminal.out(JSON.stringify(report));
    else for (const line of auditLines(report, terminal)) terminal.out(line);
    return report.balanced ? 0 : 1;
  },
};

export function auditLines(report: Audit, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const { accepted, completed, failed, dropped, open } = report;
  const width = String(Math.max(accepted, completed, failed, dropped, open)).length;
  const row = (name: string, n: number) => [name, String(n).padStart(width)];
  const sums = table([
    row('accepted', accepted),
    row('completed', completed),
    row('failed', failed),
    row('dropped', dropped),
    row('open', open),
  ]);
  const outcomes = Object.entries(report.byOutcome).toSorted(([a], [b]) => a.localeCompare(b));
  const lines = ['Messages', ...sums];
  if (outcomes.length > 0) lines.push('', 'By outcome', ...table(outcomes.map(([name, n]) => row(name, n))));
  if (report.balanced) return [...lines, '', paint('green', 'Balanced: every accepted message ended once, or is open.')];
  const examples = report.unbalanced.slice(0, 20).map((message) => `  ${oneLine(textFor(message))}`);
  const all = Math.max(report.byOutcome['unbalanced'] ?? 0, report.unbalanced.length);
  const more = all - examples.length;
  return [
    ...lines,
    '',
    paint('red', `Not balanced: ${count(all, 'message')} did not end exactly once.`),
    ...examples,
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ];
}

const textFor = (message: unknown): string => (typeof message === 'string' ? message : JSON.stringify(message));
