/** What gateways tell the registry about now and then, without asking anything: nothing that is lost here changes what anybody may do. */
import { z } from 'zod';
import { Denial } from './facts/access.ts';
import { Timestamp, TokenId } from './ids.ts';

/** `report.token-uses`: which tokens (of workspaces and of the organisation) opened a door lately. */
export const TokenUses = z.array(z.object({ tokenId: TokenId, at: Timestamp }));
export type TokenUses = z.infer<typeof TokenUses>;

/** `report.denials`: what one gateway refused within one interval. */
export const DenialReport = z.object({
  gateway: z.string(),
  since: Timestamp,
  until: Timestamp,
  denials: z.array(Denial),
  omitted: z.number().int(),
});
export type DenialReport = z.infer<typeof DenialReport>;
