/** One service as a process of its own, from before it is ready, or will ever be: what it says, and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { cleanEnv } from './cluster.ts';

const main = (service: ServiceName) => fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));

export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [member: string]: unknown;
}

export class ServiceProcess {
  readonly service: ServiceName;
  /** Everything it wrote, both streams, as it came. */
  output = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #opsPort: string | undefined;

  constructor(service: ServiceName, env: Readonly<Record<string, string>>) {
    this.service = service;
    this.#opsPort = env['OPS_PORT'];
    this.#child = spawn(process.execPath, [main(service)], { env: { ...cleanEnv(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
  }

  get runs(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The lines of its log that say this, so far. */
  said(msg: string): Line[] {
    const lines = this.output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as Line).filter((line) => line.msg === msg);
  }

  /** Resolves with the first line that says this, and has these members. */
  async says(msg: string, timeoutMs = 15_000): Promise<Line> {
    return await waitFor(() => this.said(msg)[0], {
      timeoutMs,
      what: `${this.service} to say "${msg}"; it said:\n${this.output}`,
    });
  }

  async ready(timeoutMs = 30_000): Promise<void> {
    await waitFor(async () => (await fetch(`http://127.0.0.1:${this.#opsPort}/readyz`).catch(() => undefined))?.ok === true, {
      timeoutMs,
      what: `${this.service} to be ready`,
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${this.output}`);
    });
  }

  /** Resolves with its exit code, once it ended by itself. */
  async ends(timeoutMs = 20_000): Promise<number | null> {
    await waitFor(() => !this.runs, { timeoutMs, what: `${this.service} to end` });
    await this.#ended;
    return this.#child.exitCode;
  }

  /** Asks it to stop, and waits for that. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    await this.#ended;
    return this.#child.exitCode;
  }
}
