/** `molecule up`: runs the six services, the canvas and their servers in this terminal, until it is told to stop. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from '../command.ts';
import { CliError } from '../terminal.ts';
import { ROOT, runningHere } from '../where.ts';

export const up: Command = {
  name: 'up',
  summary: 'start Molecule here; Ctrl-C stops it',
  options: {},
  async run(terminal) {
    const running = await runningHere(terminal.env);
    if (running) throw new CliError(`Molecule runs already: ${running.url} (process ${running.pid}). See \`molecule status\`.`);
    const entry = join(ROOT, 'deploy/embedded/src/main.ts');
    await access(entry).catch(() => {
      throw new CliError(`${entry} is missing: this is not a complete checkout.`);
    });
    return become(process.execPath, [entry], terminal.env);
  },
};

/**
 * Turns this process into another program: same process id, same terminal, so signals and exit code need nobody to pass them on,
 * and nothing of us stays in memory. Returns only by throwing.
 *
 * @throws CliError
 */
export function become(program: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>): never {
  if (process.execve === undefined) throw new CliError('`molecule up` needs Linux or macOS (on Windows: WSL).');
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  return process.execve(program, [program, ...args], set);
}
