/**
 * The rules for paths that a caller names below a root (spec 3 §5):
 *
 *   P1. Inside the root: not empty, not absolute, and what it comes to is the root or lies under it; `/foo` is not under `/foobar`.
 *   P2. Also after every link on the way was followed. What is not there leads nowhere, and the root itself is none of its parts.
 */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';

/** P1, by the text alone. A backslash and NUL are in no name that we make, and mean different things to different readers. */
export function isInside(path: string): boolean {
  if (path === '' || isAbsolute(path) || /[\\\0]/.test(path)) return false;
  return normalize(path).split(sep)[0] !== '..';
}

export type Located =
  | { readonly kind: 'outside' | 'missing' }
  /** A directory; `path` has no links in it. */
  | { readonly kind: 'directory'; readonly path: string };

/** What a path that was named to us is, below `root`. @throws when the file system cannot say. */
export async function locate(root: string, path: string): Promise<Located> {
  if (!isInside(path)) return { kind: 'outside' };
  const realRoot = await real(root);
  const found = realRoot === undefined ? undefined : await real(join(realRoot, path));
  if (realRoot === undefined || found === undefined) return { kind: 'missing' };
  if (found === realRoot) return { kind: 'missing' };
  if (!found.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) return { kind: 'outside' };
  return (await stat(found)).isDirectory() ? { kind: 'directory', path: found } : { kind: 'missing' };
}

const NOWHERE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'];

/** Where a path leads when all links are followed; `undefined`: nowhere. */
async function real(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (NOWHERE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
