/** What the registry does about access by itself: writes down what gateways report, and ends sessions whose time is over. */
import type { Basics, Scope } from '@molecule/service';
import type { Parts } from '../parts.ts';
import { changeAccess } from './change.ts';
import { closeExpired } from './decisions.ts';
import { Reports } from './reports.ts';

const WRITE_EVERY_MS = 2_000;
const END_EVERY_MS = 60_000;

export async function keepAccess(
  parts: Parts,
  { scope, loops }: { readonly scope: Scope; readonly loops: Basics['loops'] },
): Promise<void> {
  const { clock, newId, log } = parts;
  const reports = await scope.open(
    () => new Reports(parts),
    async (open) => {
      open.close();
      await open.write().catch((error: unknown) => log.warn({ err: error }, 'the last reports were not stored'));
    },
  );
  loops.every('registry-access-reports', WRITE_EVERY_MS, () => reports.write());
  loops.every('registry-sessions', END_EVERY_MS, async () => {
    await changeAccess(parts, { commandId: `sessions-over.${newId()}` }, closeExpired(clock.now().toISOString()));
  });
}
