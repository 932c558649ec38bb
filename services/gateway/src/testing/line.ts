/** The network between a gateway and its bus, with what goes wrong in networks. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A way to a server that can fall silent: connections stay, nothing passes, nothing is lost. */
export class Line {
  readonly #server: Server;
  readonly #pairs: [Socket, Socket][] = [];

  constructor(to: string) {
    const { hostname: host, port } = new URL(to);
    this.#server = createServer((near) => {
      const far = connect(Number(port), host);
      this.#pairs.push([near, far]);
      for (const socket of [near, far]) socket.on('error', () => socket.destroy());
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
      near.pipe(far).pipe(near);
    });
    onTestFinished(() => {
      this.drop();
      this.#server.close();
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `nats://127.0.0.1:${address.port}`;
  }

  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  /** Whoever is connected has to connect anew. */
  drop(): void {
    for (const [near] of this.#pairs.splice(0)) near.destroy();
  }

  mend(): void {
    for (const [near, far] of this.#pairs) near.pipe(far).pipe(near);
  }
}
