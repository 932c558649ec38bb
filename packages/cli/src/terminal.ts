/** What a command is given of the outside world, so that a test can be one. */
import process from 'node:process';

export interface Terminal {
  /** Writes one line of the answer. */
  out(line: string): void;
  /** Writes one line about the answer: progress, warnings, errors. */
  note(line: string): void;
  /** Colours only where somebody watches. */
  readonly colours: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the person has had enough. */
  readonly signal: AbortSignal;
}

/** What went wrong, in words for a person, and the code to exit with. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }

  override get name(): string {
    return 'CliError';
  }
}

/** The real terminal. Ctrl-C aborts; a second one ends the process as usual. */
export function processTerminal(): Terminal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  // A reader such as `head` may close the pipe: nobody listens any more, and that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
    colours: process.stdout.isTTY === true && !process.env['NO_COLOR'],
    env: process.env,
    signal: interrupted.signal,
  };
}
