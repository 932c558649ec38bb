/**
 * The token of a fresh workload (spec 3 §1.9, spec 1 §4.7): minted here, written to the agent's volume, and known to everybody
 * else by its hash alone.
 *
 *   T1. The plaintext is in this function's result, in the volume, and nowhere else (I10).
 *   T2. A registry that did not say whether it took the hash may have taken it: then the token is used.
 *   T3. One that certainly did not take it leaves the tokens as they are: the agent starts with what its volume has.
 */
import { randomBytes } from 'node:crypto';
import { AskNoResponder, ask, type Bus } from '@molecule/bus';
import { ask as asks, type WorkspaceId } from '@molecule/contracts';
import { backoff, type Log, sleep } from '@molecule/service';
import { mintToken } from '@molecule/vault';
import type { ConfigFile } from '../backends/backend.ts';

const TRIES = 5;
const pauseMs = backoff({ firstMs: 200, lastMs: 3_000 });

export type TokenOutcome =
  | { readonly kind: 'rotated' | 'kept'; readonly files: readonly ConfigFile[] }
  /** The registry does not want this workspace to have one: it is removed. */
  | { readonly kind: 'unwanted' };

export async function rotateToken(
  { bus, log }: { bus: Bus; log: Log },
  { workspaceId, run, signal }: { workspaceId: WorkspaceId; run: number; signal: AbortSignal },
): Promise<TokenOutcome> {
  const { plaintext, hash, prefix } = mintToken();
  const request = {
    workspaceId,
    hash,
    prefix,
    // Of this very token: a repeat is recognised, another token is another command.
    commandId: `token-${workspaceId}-${run}-${randomBytes(4).toString('hex')}`,
  };
  const files = [{ path: '.auth_token', data: Buffer.from(plaintext), mode: 0o600 }];
  let mayBeTaken = false;
  for (let attempt = 1; attempt <= TRIES && !signal.aborted; attempt++) {
    try {
      const { accepted } = await ask(bus, asks.registry.replaceTokens, request);
      return accepted ? { kind: 'rotated', files } : { kind: 'unwanted' };
    } catch (error) {
      if (!(error instanceof AskNoResponder)) mayBeTaken = true;
      log.warn({ err: error, workspaceId, attempt }, 'the registry did not take a new token');
      await sleep(pauseMs(attempt), signal);
    }
  }
  return mayBeTaken ? { kind: 'rotated', files } : { kind: 'kept', files: [] };
}
