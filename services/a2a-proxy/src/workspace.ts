/** A workspace by the id of a path: from memory, else asked for once. */
import { type DirectoryEntry, isWorkspaceId, platformUnavailable } from '@molecule/contracts';
import type { Directory } from '@molecule/directory';
import { isUnavailable } from '@molecule/http';

/** `undefined`: there is no such workspace. @throws platformUnavailable while nobody can say */
export async function knownWorkspace(
  directory: Pick<Directory, 'get' | 'resolve'>,
  text: string,
): Promise<DirectoryEntry | undefined> {
  const id = text.toLowerCase();
  if (!isWorkspaceId(id)) return undefined;
  try {
    const known = directory.get(id) ?? (await directory.resolve(id));
    return known?.purged ? undefined : known;
  } catch (error) {
    if (isUnavailable(error)) throw platformUnavailable(error);
    throw error;
  }
}
