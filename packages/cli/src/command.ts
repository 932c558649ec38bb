/** What a command is: its name and line in the help, the options it takes, and what it does. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Terminal } from './terminal.ts';

export type Values = Readonly<Record<string, string | boolean | undefined>>;

export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** What it is about, where it is about one thing: written without a name, and found among the values under this one. */
  readonly argument?: string;
  /** The same where it is about several things: those with a `?` at their end may be left out. */
  readonly arguments?: readonly string[];
  /** Each option with its line for the help; `value` names what it takes. */
  readonly options: Readonly<
    Record<string, { readonly type: 'string' | 'boolean'; readonly help: string; readonly value?: string }>
  >;
  /** Resolves to the exit code. @throws CliError */
  run(terminal: Terminal, values: Values): Promise<number>;
}

/** What is written without a name. */
export const argumentsOf = (command: Pick<Command, 'argument' | 'arguments'>): readonly { name: string; optional: boolean }[] =>
  (command.arguments ?? (command.argument === undefined ? [] : [command.argument])).map((name) => ({
    name: name.replace(/\?$/, ''),
    optional: name.endsWith('?'),
  }));

export const urlOption = {
  url: { type: 'string', value: 'address', help: 'where Molecule answers (else MOLECULE_URL, else the one running here)' },
} as const;
export const jsonOption = { json: { type: 'boolean', help: 'print JSON, for programs' } } as const;

export const textOf = (values: Values, name: string): string | undefined => {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
};

export const parseOptions = ({ options }: Command): ParseArgsOptionsConfig => ({
  ...Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }])),
  help: { type: 'boolean', short: 'h' },
});
