/** Somebody at the gateway with a credential of their own, or none: each answer whole, as the walk compares it. */
import { text } from 'node:stream/consumers';
import { request } from 'undici';

export interface Whole {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body it says itself
  readonly body: any;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export class Caller {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#headers = headers;
  }

  /** The same place, with other headers on top. */
  with(headers: Readonly<Record<string, string>>): Caller {
    return new Caller(this.#url, { ...this.#headers, ...headers });
  }

  bearer(token: string): Caller {
    return this.with({ authorization: `Bearer ${token}` });
  }

  get(path: string): Promise<Whole> {
    return this.send('GET', path);
  }

  post(path: string, body: unknown = {}): Promise<Whole> {
    return this.send('POST', path, body);
  }

  async send(method: string, path: string, body?: unknown): Promise<Whole> {
    const answer = await request(`${this.#url}${path}`, {
      method: method as 'GET',
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...this.#headers },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const raw = await text(answer.body);
    const isJson = String(answer.headers['content-type']).includes('json');
    return { status: answer.statusCode, headers: answer.headers, body: isJson ? JSON.parse(raw) : raw };
  }
}
