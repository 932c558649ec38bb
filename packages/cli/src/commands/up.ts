/** `molecule up`: runs the six services, the canvas and their servers in this terminal, until it is told to stop. */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from '../command.ts';
import { CliError } from '../terminal.ts';
import { ROOT, runningHere } from '../where.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

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
    return await runInForeground(process.execPath, [entry], terminal.env);
  },
};

/** Runs a program on our own terminal, hands signals on to it, and resolves to its exit code. */
export function runInForeground(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    // A terminal sends Ctrl-C to both of us: the child knows already, and a second signal would tell it not to take its time.
    const forward = (signal: NodeJS.Signals) => {
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, forward);
    const over = () => {
      for (const signal of SIGNALS) process.off(signal, forward);
    };
    child.on('error', (error) => {
      over();
      reject(new CliError(`cannot run ${program}: ${error.message}`));
    });
    child.on('exit', (code, signal) => {
      over();
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}
