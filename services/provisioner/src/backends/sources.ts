/** Opens what is to be copied in before any of it is written: what cannot be read leaves nothing behind (B8). */
import type { Readable } from 'node:stream';
import type { FileIn } from './backend.ts';

/** Given in the order of `files`. @throws when one cannot be opened; then none stays open. */
export async function openAll(files: readonly FileIn[]): Promise<Readable[]> {
  const opened: Readable[] = [];
  try {
    for (const file of files) opened.push(await file.open());
    return opened;
  } catch (error) {
    closeAll(opened);
    throw error;
  }
}

export const closeAll = (opened: readonly Readable[]): void => {
  for (const source of opened) source.destroy();
};
