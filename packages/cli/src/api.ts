/** Asks the gateway, and turns whatever can go wrong on the way into words that say what to do. */
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import { CliError } from './terminal.ts';
import type { Target } from './where.ts';

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
  /** `null` for what is no JSON. */
  readonly json: unknown;
}

export class Api {
  readonly target: Target;
  readonly #signal: AbortSignal;

  /** `signal` ends what is being asked. */
  constructor(target: Target, signal: AbortSignal) {
    if (!/^https?:$/.test(URL.canParse(target.url) ? new URL(target.url).protocol : ''))
      throw new CliError(
        `${JSON.stringify(target.url)} (${target.from}) is not an http address, such as http://127.0.0.1:8080`,
        2,
      );
    this.target = target;
    this.#signal = signal;
  }

  get headers(): Record<string, string> {
    return this.target.adminToken === undefined ? {} : { authorization: `Bearer ${this.target.adminToken}` };
  }

  /** The address of the socket. */
  get socketUrl(): string {
    return `${this.target.url.replace(/^http/, 'ws')}/ws`;
  }

  get<Schema extends z.ZodType>(path: string, schema: Schema, timeoutMs = 10_000): Promise<z.infer<Schema>> {
    return this.#request('GET', path, schema, timeoutMs);
  }

  post<Schema extends z.ZodType>(path: string, schema: Schema, timeoutMs = 10_000): Promise<z.infer<Schema>> {
    return this.#request('POST', path, schema, timeoutMs);
  }

  delete<Schema extends z.ZodType>(path: string, schema: Schema, timeoutMs = 10_000): Promise<z.infer<Schema>> {
    return this.#request('DELETE', path, schema, timeoutMs);
  }

  /** Any status is an answer; for what is asked in somebody else's name, with headers that win over our own. */
  async send(
    method: string,
    path: string,
    { headers = {}, body, timeoutMs = 10_000 }: { headers?: Record<string, string>; body?: string; timeoutMs?: number },
  ): Promise<Answer> {
    const answer = await exchange(
      `${this.target.url}${path}`,
      {
        method,
        headers: { ...this.headers, ...headers },
        signal: AbortSignal.any([this.#signal, AbortSignal.timeout(timeoutMs)]),
      },
      body,
    ).catch((error: unknown) => {
      if (this.#signal.aborted) throw new CliError('stopped', 130);
      throw this.#unreached(error, timeoutMs);
    });
    return { ...answer, json: parse(answer.text) };
  }

  async #request<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    timeoutMs: number,
  ): Promise<z.infer<Schema>> {
    const { url } = this.target;
    const { status, text, json } = await this.send(method, path, { timeoutMs });
    if (status < 200 || status > 299) throw this.#refused(method, path, status, text);
    const answer = schema.safeParse(json);
    if (!answer.success)
      throw new CliError(
        `${url} answered ${method} ${path} with something else than expected: is it Molecule, and of this version?`,
      );
    return answer.data;
  }

  #unreached(error: unknown, timeoutMs: number): CliError {
    const { url, from } = this.target;
    if (error instanceof Error && error.name === 'AbortError')
      return new CliError(`${url} (${from}) did not answer within ${timeoutMs / 1000} s.`);
    const code = codeOf(error);
    if (code === 'ECONNREFUSED')
      return new CliError(
        `Nothing listens at ${url} (${from}). Start Molecule with \`npm start\`, or say where it is with --url or MOLECULE_URL.`,
      );
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      return new CliError(`The host of ${url} (${from}) cannot be found. Is the address right?`);
    return new CliError(
      `${url} (${from}) cannot be reached: ${code ?? (error instanceof Error ? error.message : String(error))}`,
    );
  }

  #refused(method: string, path: string, status: number, text: string): CliError {
    const { url, adminToken } = this.target;
    const said = (parse(text) as { error?: unknown } | null)?.error;
    const reason = typeof said === 'string' ? said : `status ${status}`;
    if (status === 401 || status === 403)
      return new CliError(
        adminToken === undefined
          ? `${url} wants to know who asks (${reason}). Set ADMIN_TOKEN to the token it was started with.`
          : `${url} does not accept this ADMIN_TOKEN (${reason}). Is it the one it was started with?`,
      );
    if (status === 404 && typeof said !== 'string')
      return new CliError(`${url} has no ${method} ${path}: is it Molecule, and of this version?`);
    if (status === 404) return new CliError(reason);
    if (status === 503) return new CliError(`${url} cannot answer now: ${reason}`);
    return new CliError(`${url} refused ${method} ${path}: ${reason}`);
  }
}

/** One request. Node's own client: `fetch` gives up after five minutes, and a rebuild may take longer. */
async function exchange(url: string, options: http.RequestOptions, body?: string): Promise<Omit<Answer, 'json'>> {
  const { request } = url.startsWith('https:') ? https : http;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end(body);
  });
  return { status: response.statusCode ?? 0, location: response.headers.location, text: await text(response) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const codeOf = (error: unknown): string | undefined => {
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    if (current instanceof AggregateError && current.errors.length > 0) return codeOf(current.errors[0]);
    if ('code' in current && typeof current.code === 'string') return current.code;
  }
  return undefined;
};
