/** A gateway and the services behind it, for the tests of the hop. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { request } from 'undici';
import { type Closing, contextOf, KEY, recordingLog, startServer } from './testing.ts';
import { Upstream } from './upstream.ts';

export const context = contextOf({ kind: 'workspace', workspaceId: 'w', tokenId: 't' });

/** Status and text of an answer. */
export const answerText = async (answering: ReturnType<typeof request>): Promise<[status: number, text: string]> => {
  const { statusCode, body } = await answering;
  return [statusCode, await body.text()];
};

export const startHops = (closing: Closing) => {
  /** A gateway in front of the services at these addresses. */
  const startGateway = async (...baseUrls: string[]) => {
    const { log, lines } = recordingLog();
    const upstream = closing.add(new Upstream(baseUrls, { internalKey: KEY, log }), (it) => it.close());
    const settled: Promise<void>[] = [];
    const gateway = await startServer(closing, (req, res) => {
      res.setHeader('x-from-gateway', 'yes');
      res.setHeader('x-overridden', 'gateway');
      settled.push(upstream.forward(req, res, context));
    });
    return { ...gateway, lines, settled };
  };

  /** A service and a gateway in front of it. */
  const start = async (handler: RequestListener) => {
    const service = await startServer(closing, handler);
    return { service, gateway: await startGateway(service.url) };
  };

  /** A service on bare TCP that does exactly this when it has got a request. */
  const startTcp = async (onRequest: (socket: Socket) => void) => {
    let connections = 0;
    const server = createTcpServer((socket) => {
      connections++;
      socket.on('error', () => undefined).once('data', () => onRequest(socket));
      closing.add(socket, () => socket.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.add(server, () => server.close());
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
  };

  return { startGateway, start, startTcp };
};
