/**
 * The secrets of workspaces, as rows that the vault sealed (spec 3 §6).
 *
 *   K1. A value leaves neither in an error nor in a log: what the database says of a row that it refused may hold the row (I10).
 */
import { Refusal, type WorkspaceId } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import type { Log } from '@molecule/service';
import type { SealedSecret, Vault } from '@molecule/vault';
import type { Kysely } from 'kysely';
import type { Tables } from '../database.ts';

export interface NamedSecret extends SealedSecret {
  readonly key: string;
}

/** @throws Refusal that names the first that could not be sealed. */
export const sealSecrets = (vault: Pick<Vault, 'seal'>, secrets: Readonly<Record<string, string>>): readonly NamedSecret[] =>
  Object.entries(secrets).map(([key, text]) => {
    try {
      return { key, ...vault.seal(text) };
    } catch {
      throw new Refusal('failed', `failed to encrypt secret: ${key}`); // K1: without the cause
    }
  });

/** The secrets of a workspace that has none yet. @throws Refusal that names the first that could not be stored. */
export async function saveSecrets(
  db: Kysely<Tables>,
  workspaceId: WorkspaceId,
  secrets: readonly NamedSecret[],
  { at, log }: { readonly at: string; readonly log: Log },
): Promise<void> {
  for (const { key, version, value } of secrets) {
    const row = { workspace_id: workspaceId, key, version, value, created_at: at, updated_at: at };
    try {
      await db.insertInto('workspace_secrets').values(row).execute();
    } catch (error) {
      if (isUnavailable(error)) throw error;
      const { code, constraint } = error as { readonly code?: unknown; readonly constraint?: unknown };
      log.error({ workspaceId, name: key, code, constraint }, 'a secret could not be stored'); // K1
      throw new Refusal('failed', `failed to save secret: ${key}`);
    }
  }
}

/** What a workspace's secrets are called. Never what they are. */
export async function secretKeysOf(db: Kysely<Tables>, workspaceId: WorkspaceId): Promise<string[]> {
  const query = db.selectFrom('workspace_secrets').select('key').where('workspace_id', '=', workspaceId).orderBy('key');
  return (await query.execute()).map(({ key }) => key);
}
