/** `molecule <command>`: finds the command, reads its options, and turns what it says into an exit code. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { argumentsOf, type Command, parseOptions } from './command.ts';
import { audit } from './commands/audit.ts';
import { doctor } from './commands/doctor.ts';
import { events } from './commands/events.ts';
import { explain } from './commands/explain.ts';
import { parked } from './commands/parked.ts';
import { queue } from './commands/queue.ts';
import { rebuild } from './commands/rebuild.ts';
import { send } from './commands/send.ts';
import { status } from './commands/status.ts';
import { trace } from './commands/trace.ts';
import { up } from './commands/up.ts';
import { painter, table } from './format.ts';
import { CliError, type Terminal } from './terminal.ts';
import { ROOT } from './where.ts';

/** In the order a newcomer needs them. */
export const COMMANDS: readonly Command[] = [up, status, doctor, send, queue, explain, trace, events, parked, rebuild, audit];

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
    const named = argumentsOf(command);
    const parsed = parseArgs({ args: rest, options: parseOptions(command), allowPositionals: named.length > 0 });
    const values = parsed.values as Parameters<Command['run']>[1];
    if (values['help'] === true) return help(name, terminal);
    const { positionals } = parsed;
    if (positionals.length > named.length || positionals.length < named.filter(({ optional }) => !optional).length) {
      terminal.note(`molecule ${name} takes ${takes(command)}\n`);
      for (const line of helpOf(command)) terminal.note(line);
      return 2;
    }
    const given = Object.fromEntries(named.map((argument, at) => [argument.name, positionals[at]]));
    return await command.run(terminal, { ...values, ...given });
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

/** `one id`; `a workspace and a text`. */
function takes(command: Command): string {
  const [only, ...more] = argumentsOf(command).filter(({ optional }) => !optional);
  if (only !== undefined && more.length === 0) return `one ${only.name}`;
  return synopsis(command) || 'nothing';
}

const synopsis = (command: Command): string =>
  argumentsOf(command)
    .map(({ name, optional }) => (optional ? `[<${name}>]` : `<${name}>`))
    .join(' ');

export function helpOf(command: Command): string[] {
  const { name, summary, options } = command;
  const rows = Object.entries(options).map(([option, { value, help }]) => [
    `--${option}${value === undefined ? '' : ` <${value}>`}`,
    help,
  ]);
  return [
    ['molecule', name, synopsis(command), rows.length > 0 ? '[options]' : ''].filter((part) => part !== '').join(' '),
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
