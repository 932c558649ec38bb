/** How far a reader of somebody else's facts has got, kept with the rows it made of them (D9). */
import type { QueryExecutorProvider } from 'kysely';
import { sql } from 'kysely';
import type { Tx } from './types.ts';

const ADVANCE = `
  insert into positions (reader, source, position) values ($1, $2, $3)
  on conflict (reader, source) do update set position = excluded.position
  where positions.position < excluded.position`;

/**
 * Moves a reader's position, and says whether it moved: `false` means that this fact was taken before. To be called in the
 * transaction that stores what was heard. It is a write, so in a `transaction` it comes after all loads (E7).
 */
export async function advance<Tables>(
  target: Pick<Tx<Tables>, 'query'> | QueryExecutorProvider,
  { reader, source, position }: { readonly reader: string; readonly source: string; readonly position: bigint },
): Promise<boolean> {
  if ('query' in target) return (await target.query(ADVANCE, [reader, source, position.toString()])).rowCount === 1;
  const { numAffectedRows } = await sql`
    insert into positions (reader, source, position) values (${reader}, ${source}, ${position.toString()})
    on conflict (reader, source) do update set position = excluded.position
    where positions.position < excluded.position
  `.execute(target);
  return numAffectedRows === 1n;
}
