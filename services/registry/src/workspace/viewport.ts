/** Where everybody's canvas looks (spec 1 §1.10): one record for all. */
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Tables } from '../database.ts';

const coordinate = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
export const Viewport = z.object({ x: coordinate, y: coordinate, zoom: coordinate });
export type Viewport = z.infer<typeof Viewport>;

export const NOWHERE_YET: Viewport = { x: 0, y: 0, zoom: 1 };

export async function readViewport(db: Kysely<Tables>): Promise<Viewport> {
  const saved = await db.selectFrom('canvas_viewport').select(['x', 'y', 'zoom']).executeTakeFirst();
  return saved ?? NOWHERE_YET;
}

export async function saveViewport(db: Kysely<Tables>, { x, y, zoom }: Viewport): Promise<void> {
  await db
    .insertInto('canvas_viewport')
    .values({ x, y, zoom })
    .onConflict((conflict) => conflict.column('only_one').doUpdateSet({ x, y, zoom }))
    .execute();
}
