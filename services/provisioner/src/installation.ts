/** The name of this installation: on all that it makes, so that it never takes what another one made for its own (I8). */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What `<home>/installation` says; made when it is not there. Two that make it at once agree. */
export async function installationOf(home: string): Promise<string> {
  const path = join(home, 'installation');
  await mkdir(home, { recursive: true });
  await writeFile(path, randomUUID(), { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const name = (await readFile(path, 'utf8')).trim();
  if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new Error(`${path} does not name an installation; remove it, or mend it`);
  return name;
}
