/** How a workspace's name becomes the name of a template directory (spec 3 §5.1). Pure. */

/** For expand and the files of a workspace: letters, digits, `_` and `-`, and nothing else. */
export function normalizeName(name: string): string {
  const normal = name
    .replaceAll(' ', '-')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/[^a-z0-9_-]/g, '');
  return normal === '' ? 'unnamed' : normal;
}

/** For the name match: lower case, and a `-` for each space. What could be a path is no directory name. */
export function directoryNameOf(name: string): string | null {
  const directory = name.toLowerCase().replaceAll(' ', '-');
  return isEntryName(directory) ? directory : null;
}

/** A name that an entry of a directory may have: it leads to no other place. */
export const isEntryName = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name);
