/** New tokens as the registry issues them (spec 1 §4.7). */
import { TokenId } from '@molecule/contracts';
import type { Clock } from '@molecule/service';
import { mintToken } from '@molecule/vault';
import type { NewToken } from './tokens.ts';

export interface MintedToken {
  /** Leaves in an answer, and nowhere else (I10). */
  readonly plaintext: string;
  readonly token: NewToken;
}

export type Mint = () => MintedToken;

export const minting =
  ({ clock, newId }: { readonly clock: Clock; readonly newId: () => string }): Mint =>
  () => {
    const { plaintext, hash, prefix } = mintToken();
    return { plaintext, token: { tokenId: TokenId.parse(newId()), hash, prefix, issuedAt: clock.now().toISOString() } };
  };
