/**
 * The card of an agent as its callers need it: reached through the platform, by JSON-RPC, at one address. Pure.
 *
 *   C1. Every address at which the card says that the agent is spoken to is the platform's (`url`, and those of its interfaces, in the
 *       shapes of A2A 0.3 and 1.0). Where the agent really is stays inside.
 *   C2. What the platform does not carry (gRPC, REST) is left out: a caller would try it in vain.
 *   C3. Everything else is as the agent wrote it, but for signatures: what they sign is another card.
 */
import { isObject, own } from '../call/normalise.ts';

type Card = Readonly<Record<string, unknown>>;

const CARRIED = 'JSONRPC';
const INTERFACES = ['additionalInterfaces', 'supportedInterfaces'] as const;

export function proxiedCard({ signatures: _, ...card }: Card, url: string): Card {
  const proxied: Record<string, unknown> = { ...card };
  // A card of A2A 1.0 has its addresses in `supportedInterfaces` only; every other must have a `url`.
  if (Object.hasOwn(card, 'url') || !Array.isArray(own(card, 'supportedInterfaces'))) proxied['url'] = url;
  if (Object.hasOwn(card, 'preferredTransport')) proxied['preferredTransport'] = CARRIED;
  for (const name of INTERFACES) {
    const interfaces = own(card, name);
    if (Array.isArray(interfaces)) proxied[name] = interfaces.filter(isCarried).map((entry) => ({ ...entry, url }));
  }
  return proxied;
}

/** `transport` in 0.3, `protocolBinding` in 1.0; said or not. */
const isCarried = (entry: unknown): entry is Card => {
  if (!isObject(entry)) return false;
  const transport = own(entry, 'transport') ?? own(entry, 'protocolBinding') ?? CARRIED;
  return typeof transport === 'string' && transport.toUpperCase() === CARRIED;
};
