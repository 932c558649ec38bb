/** New tokens: 32 random bytes, shown once, kept as SHA-256 (spec 1 §4.7). */
import { createHash, randomBytes } from 'node:crypto';
import { TokenId } from '@molecule/contracts';
import type { Clock } from '@molecule/service';
import type { NewToken } from './tokens.ts';

export interface MintedToken {
  /** 43 characters, base64url. Leaves in an answer, and nowhere else (I10). */
  readonly plaintext: string;
  readonly token: NewToken;
}

export type Mint = () => MintedToken;

export const minting =
  ({ clock, newId }: { readonly clock: Clock; readonly newId: () => string }): Mint =>
  () => {
    const plaintext = randomBytes(32).toString('base64url');
    const hash = createHash('sha256').update(plaintext).digest('hex');
    const token = { tokenId: TokenId.parse(newId()), hash, prefix: plaintext.slice(0, 8), issuedAt: clock.now().toISOString() };
    return { plaintext, token };
  };
