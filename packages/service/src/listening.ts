/** Binding a port, with errors that say what to do. */
import type { Server } from 'node:net';

/** The address could not be listened on. `message` says which and what to do. */
export class CannotListen extends Error {
  readonly code: string | undefined;

  constructor(host: string, port: number, setting: string, cause: NodeJS.ErrnoException) {
    super(`cannot listen on ${host}:${port}: ${hint(setting, cause)}`, { cause });
    this.code = cause.code;
  }

  override get name(): string {
    return 'CannotListen';
  }
}

const hint = (setting: string, { code, message }: NodeJS.ErrnoException): string => {
  switch (code) {
    case 'EADDRINUSE':
      return `the port is in use. Stop what listens there, or set ${setting} to a free port.`;
    case 'EACCES':
      return `the port needs more rights than this process has. Set ${setting} to 1024 or above.`;
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address. Set HOST to one of its own.';
    default:
      return message;
  }
};

/** Listens, and tells on which port. @throws CannotListen */
export function bind(
  server: Server,
  { port, host, setting = 'PORT' }: { readonly port: number; readonly host: string; readonly setting?: string },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(new CannotListen(host, port, setting, error));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}
