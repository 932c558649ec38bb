/** Who is at the other end of a connection. */
import type { IncomingMessage } from 'node:http';

const MAPPED = '::ffff:';

/** The peer's address; an IPv4 address that came in over an IPv6 socket is the IPv4 address. `''` once the connection is gone. */
export function peerOf({ socket }: Pick<IncomingMessage, 'socket'>): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}
