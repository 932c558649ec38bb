/** `molecule doctor`: what this machine lacks for Molecule to run, and for each lack the command that mends it. */
import { type Command, jsonOption } from '../command.ts';
import { painter, table } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { examine, type Finding } from './doctor-checks.ts';

export const doctor: Command = {
  name: 'doctor',
  summary: 'what this machine lacks, and the command that mends it',
  options: { ...jsonOption },
  async run(terminal, values) {
    const findings = await examine(terminal.env);
    if (values['json'] === true) terminal.out(JSON.stringify(findings));
    else for (const line of doctorLines(findings, terminal)) terminal.out(line);
    return findings.some(({ state }) => state === 'bad') ? 1 : 0;
  },
};

const SIGNS = { ok: 'ok', warning: 'note', bad: 'missing' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', bad: 'red' } as const;

export function doctorLines(findings: readonly Finding[], terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const rows = table(findings.map(({ name, state, detail }) => [paint(COLOURS[state], SIGNS[state]), name, detail]));
  const mend = findings.filter(({ mend }) => mend !== undefined);
  const verdict = findings.some(({ state }) => state === 'bad')
    ? paint('red', 'Molecule cannot run here yet.')
    : paint('green', 'Molecule can run here.');
  const steps =
    mend.length === 0 ? [] : ['', 'To mend it:', ...table(mend.map(({ name, mend = '' }) => [name, paint('bold', mend)]))];
  return [...rows, ...steps, '', verdict];
}
