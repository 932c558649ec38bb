/** Whether GitHub sent it: only GitHub and we know the secret (spec 2 §7.14). */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Of the raw bytes, in constant time. `header`: `X-Hub-Signature-256`. */
export function isSigned(body: Uint8Array, header: string | undefined, secret: string): boolean {
  const given = /^sha256=([0-9a-f]{64})$/i.exec(header ?? '')?.[1];
  if (given === undefined || secret === '') return false;
  return timingSafeEqual(Buffer.from(given, 'hex'), createHmac('sha256', secret).update(body).digest());
}
