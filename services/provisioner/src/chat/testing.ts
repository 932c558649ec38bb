/** Two doors to the routes of chat files, as in production: the gateway in the same process, and one in front of it. */
import { once } from 'node:events';
import { createServer, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type Identity, principalOf, type RequestContext } from '@molecule/contracts';
import { attachContext, createListener, httpService, serviceApp, Upstream } from '@molecule/http';
import type { Log, Scope } from '@molecule/service';
import type { AgentPath } from '../backends/agent-path.ts';
import type { Backend, CopyInOutcome, CopyOutOutcome, FileIn } from '../backends/backend.ts';
import { NoBackend } from '../backends/no-backend.ts';
import { type ChatParts, chatRoutes } from './routes.ts';

const KEY = 'k'.repeat(32);
export type Door = 'in one process' | 'through a gateway';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Readable | Buffer;
  readonly as?: Identity;
}

/** A server with these routes. Who asks is said in a header that only these tests know. */
export async function openDoor(door: Door, parts: ChatParts, log: Log, scope: Scope) {
  const serve = async (listener: RequestListener): Promise<string> => {
    const server = await scope.open(
      () => createServer(listener),
      async (open: Server) => {
        open.closeAllConnections();
        await new Promise((resolve) => open.close(resolve));
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const owner = createListener(httpService(serviceApp(log).route('/', chatRoutes(parts))), { log, internalKey: KEY });
  const contextOf = (identity: Identity): RequestContext => ({
    principal: principalOf(identity, { adminTokenSet: true }),
    peer: '127.0.0.1',
    requestId: 'r',
    beats: null,
  });
  const identityOf = (header: string | string[] | undefined): Identity => JSON.parse(String(header)) as Identity;
  const inOneProcess: RequestListener = (req, res) => {
    attachContext(req, contextOf(identityOf(req.headers['as'])));
    owner(req, res);
  };
  const throughGateway = async (): Promise<RequestListener> => {
    const address = await serve(owner);
    const upstream = await scope.open(
      () => new Upstream([address], { internalKey: KEY, log }),
      (open) => open.close(),
    );
    return (req, res) => void upstream.forward(req, res, contextOf(identityOf(req.headers['as'])));
  };
  const url = await serve(door === 'in one process' ? inOneProcess : await throughGateway());

  const start = (path: string, { method = 'GET', headers = {}, as = { kind: 'admin' } }: Asked) =>
    request(`${url}${path}`, { method, headers: { ...headers, as: JSON.stringify(as) }, agent: false });
  const ask = async (path: string, asked: Asked = {}): Promise<Answer> => {
    const outgoing = start(path, asked);
    const answering = once(outgoing, 'response');
    // An answer may come before everything was said; then the rest need not be.
    if (asked.body === undefined || Buffer.isBuffer(asked.body)) outgoing.end(asked.body);
    else asked.body.pipe(outgoing);
    const [incoming] = (await answering) as [Readable & { statusCode: number; headers: Answer['headers'] }];
    outgoing.on('error', () => {});
    return { status: incoming.statusCode, headers: incoming.headers, body: await buffer(incoming) };
  };
  return { url, start, ask };
}

export const BOUNDARY = 'molecule-boundary';

export interface FormPart {
  readonly name?: string;
  readonly filename?: string;
  readonly type?: string;
  readonly headers?: string;
  readonly content?: Buffer | string;
}

const headOf = ({ name = 'files', filename, type, headers = '' }: FormPart): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${
    type === undefined ? '' : `Content-Type: ${type}\r\n`
  }${headers}\r\n`;

export const form = (...parts: readonly FormPart[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap((part) => [Buffer.from(headOf(part)), Buffer.from(part.content ?? 'x'), Buffer.from('\r\n')]),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);

export const asForm = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

/** One that says what it is told to, and remembers what it was given. */
export class ScriptedBackend extends NoBackend implements Backend {
  readonly written: { readonly path: AgentPath; readonly mode: number; readonly pieces: Buffer[] }[] = [];
  running = { running: true, certain: true };
  onCopyIn: CopyInOutcome = { outcome: 'copied' };
  onCopyOut: (signal: AbortSignal) => CopyOutOutcome | Promise<CopyOutOutcome> = () => ({ outcome: 'not-found' });

  override async isRunning() {
    return this.running;
  }

  override async copyIn(_prefix?: string, files: readonly FileIn[] = []): Promise<CopyInOutcome> {
    if (this.onCopyIn.outcome === 'copied')
      for (const { path, mode, open } of files) this.written.push({ path, mode, pieces: await (await open()).toArray() });
    return this.onCopyIn;
  }

  override async copyOut(_prefix?: string, _path?: AgentPath, signal = new AbortController().signal): Promise<CopyOutOutcome> {
    return await this.onCopyOut(signal);
  }
}
