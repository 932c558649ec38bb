/** A port that is free now on the loopback interface. */
import { createServer } from 'node:net';

/** Somebody may take it before we do; whoever starts a server on it says so plainly then. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
