/** Tokens: 32 random bytes, shown once, known everywhere else by their SHA-256 (spec 1 §4.7). */
import { createHmac, hash, randomBytes } from 'node:crypto';

export interface MintedToken {
  /** 43 characters, base64url. Leaves in an answer or into an agent's volume, and is nowhere else (I10). */
  readonly plaintext: string;
  /** SHA-256 of the plaintext, hex. */
  readonly hash: string;
  /** The first eight characters of the plaintext, for people to tell tokens apart. */
  readonly prefix: string;
}

export const tokenHash = (plaintext: string): string => hash('sha256', plaintext);

/**
 * Tells one secret that people chose from the next. Under a key, because what people choose can be guessed: whoever reads a fact with
 * a fingerprint learns nothing by it.
 */
export const fingerprint = (secret: string, key: string): string =>
  createHmac('sha256', key).update('fingerprint.').update(secret).digest('hex').slice(0, 32);

export function mintToken(): MintedToken {
  const plaintext = randomBytes(32).toString('base64url');
  return { plaintext, hash: tokenHash(plaintext), prefix: plaintext.slice(0, 8) };
}
