/** Calls to the gateway. A redirect is an answer like any other; an answer longer than its limit is cut off as an error. */
import http from 'node:http';
import https from 'node:https';

export interface PlatformAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

const LARGEST_ANSWER_BYTES = 1024 * 1024;

/**
 * Keeps connections alive for less time than a server does (5 s by default), and tries once more when a kept one turns out
 * to have been closed: what is posted here may be repeated.
 */
export class Platform {
  readonly #base: URL;
  #agent: http.Agent;

  constructor(baseUrl: string) {
    this.#base = new URL(`${baseUrl}/`);
    this.#agent = this.#newAgent();
  }

  /** Rejects when there is no answer within `timeoutMs`, or none at all. */
  async post(
    path: string,
    body: object,
    { timeoutMs, token }: { timeoutMs: number; token?: string | undefined },
  ): Promise<PlatformAnswer> {
    const payload = Buffer.from(JSON.stringify(body));
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#once(path, payload, token, deadline);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#once(path, payload, token, deadline);
    }
  }

  /** A fresh client, for when the old one only fails. */
  renew(): void {
    this.close();
    this.#agent = this.#newAgent();
  }

  close(): void {
    this.#agent.destroy();
  }

  #newAgent(): http.Agent {
    const options = { keepAlive: true, timeout: 4000, maxFreeSockets: 2 };
    return this.#base.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
  }

  #once(path: string, payload: Buffer, token: string | undefined, signal: AbortSignal): Promise<PlatformAnswer> {
    return new Promise((resolve, reject) => {
      const headers: http.OutgoingHttpHeaders = { 'content-type': 'application/json', 'content-length': payload.length };
      if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
      const { request } = this.#base.protocol === 'https:' ? https : http;
      const call = request(new URL(path, this.#base), { method: 'POST', agent: this.#agent, headers, signal }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > LARGEST_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      call.on('error', (error: NodeJS.ErrnoException) =>
        reject(call.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection() : error),
      );
      call.end(payload);
    });
  }
}

class StaleConnection extends Error {}
