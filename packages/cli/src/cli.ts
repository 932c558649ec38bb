/** `molecule <command>`: finds the command, reads its options, and turns what it says into an exit code. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Command, parseOptions } from './command.ts';
import { audit } from './commands/audit.ts';
import { doctor } from './commands/doctor.ts';
import { events } from './commands/events.ts';
import { explain } from './commands/explain.ts';
import { parked } from './commands/parked.ts';
import { rebuild } from './commands/rebuild.ts';
import { status } from './commands/status.ts';
import { trace } from './commands/trace.ts';
import { up } from './commands/up.ts';
import { painter, table } from './format.ts';
import { CliError, type Terminal } from './terminal.ts';
import { ROOT } from './where.ts';

/** In the order a newcomer needs them. */
export const COMMANDS: readonly Command[] = [up, status, doctor, explain, trace, events, parked, rebuild, audit];

/** Exit codes: 0 well, 1 something is not as it should be, 2 the command was not understood. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  switch (name) {
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      return help(rest[0], terminal);
    case 'version':
    case '--version':
    case '-v':
      terminal.out(await version());
      return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) return unknown(name, terminal);
  try {
    const { argument } = command;
    const parsed = parseArgs({ args: rest, options: parseOptions(command), allowPositionals: argument !== undefined });
    const values = parsed.values as Parameters<Command['run']>[1];
    if (values['help'] === true) return help(name, terminal);
    if (argument === undefined) return await command.run(terminal, values);
    const [given, ...more] = parsed.positionals;
    if (given === undefined || more.length > 0) {
      terminal.note(`molecule ${name} takes one ${argument}\n`);
      for (const line of helpOf(command)) terminal.note(line);
      return 2;
    }
    return await command.run(terminal, { ...values, [argument]: given });
  } catch (error) {
    if (error instanceof CliError) {
      terminal.note(painter(terminal)('red', error.message));
      return error.exitCode;
    }
    if (isUsageError(error)) {
      terminal.note(`${error.message.split('. To specify')[0]}\n`);
      for (const line of helpOf(command)) terminal.note(line);
      return 2;
    }
    throw error;
  }
}

function help(name: string | undefined, terminal: Terminal): number {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (name !== undefined && command === undefined && name !== 'help' && name !== 'version') return unknown(name, terminal);
  for (const line of command === undefined ? overview() : helpOf(command)) terminal.out(line);
  return 0;
}

function unknown(name: string, terminal: Terminal): number {
  terminal.note(`molecule: there is no command ${JSON.stringify(name)}\n`);
  for (const line of overview()) terminal.note(line);
  return 2;
}

export const overview = (): string[] => [
  'molecule <command> [options]',
  '',
  ...table([
    ...COMMANDS.map(({ name, summary }) => [name, summary]),
    ['help', 'this text, or `molecule help <command>`'],
    ['version', 'which version this is'],
  ]),
];

export function helpOf({ name, summary, argument, options }: Command): string[] {
  const rows = Object.entries(options).map(([option, { value, help }]) => [
    `--${option}${value === undefined ? '' : ` <${value}>`}`,
    help,
  ]);
  return [
    `molecule ${name}${argument === undefined ? '' : ` <${argument}>`}${rows.length > 0 ? ' [options]' : ''}`,
    '',
    `  ${summary}`,
    ...(rows.length > 0 ? ['', ...table(rows)] : []),
  ];
}

async function version(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return version;
}

const isUsageError = (error: unknown): error is Error =>
  error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS');
