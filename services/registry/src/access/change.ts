/** The one door through which org tokens and sessions change: what was decided holds on every gateway before the caller is answered (I4). */
import { type AccessFact, PLATFORM } from '@molecule/contracts';
import type { Barrier } from '@molecule/directory';
import type { CommandMeta, Commit, Ledger } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { access } from './aggregate.ts';
import type { Decision } from './decisions.ts';

export async function changeAccess(
  { ledger, barrier }: { readonly ledger: Ledger<Tables>; readonly barrier: Barrier },
  meta: CommandMeta,
  decide: Decision,
): Promise<Commit<AccessFact>> {
  const commit = await ledger.transact(access, { id: PLATFORM, ...meta }, decide);
  if (commit.facts.length > 0) await barrier.passed(PLATFORM, commit.version);
  return commit;
}
