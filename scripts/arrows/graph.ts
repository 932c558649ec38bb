/**
 * Which file of ours imports what, type-only imports included.
 *
 * The compiler has no API for this any more, and it needs none: the formatter puts every `import` and `export … from` at
 * the start of a line, and that is where they are read.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

export interface Arrow {
  /** A path from the root of the repository. */
  readonly from: string;
  /** The same, or the name of somebody else's package, or `node:…`. */
  readonly to: string;
  readonly line: number;
  /** It names a package of ours by what that package offers, not a file inside it. */
  readonly byDoor: boolean;
}

export interface Package {
  readonly folder: string;
  /** What its `exports` offer, as files: `.` is the front door. */
  readonly doors: Readonly<Record<string, string>>;
}

export type Packages = ReadonlyMap<string, Package>;

export interface Source {
  readonly path: string;
  readonly text: string;
}

const FOLDERS = ['packages/*', 'services/*', 'deploy/*'];
const CODE = '**/*.{ts,mjs}';

/** Every file of ours that holds code. */
export function readSources(root: string): Source[] {
  const patterns = ['packages', 'services', 'deploy', 'scripts', 'test-e2e', 'bench'].map((folder) => `${folder}/${CODE}`);
  return globSync(patterns, { cwd: root, exclude: (path) => path.endsWith('node_modules') || path.endsWith('.molecule') })
    .map((path) => path.split(sep).join('/'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

/** Our packages, by name. */
export function readPackages(root: string): Packages {
  const folders = globSync(FOLDERS, { cwd: root }).filter((folder) => existsSync(join(root, folder, 'package.json')));
  return new Map(
    folders.map((folder) => {
      const text = readFileSync(join(root, folder, 'package.json'), 'utf8');
      const { name, exports: doors = {} } = JSON.parse(text) as { name: string; exports?: Record<string, string> };
      return [name, { folder: folder.split(sep).join('/'), doors }];
    }),
  );
}

/** `import 'x'`, `import … from 'x'`, `export … from 'x'` over any number of lines; and `import('x')` anywhere. */
const STATEMENT = /^(?:import\s+(?:[^'";]*?\bfrom\s+)?|export\s+(?:type\s+)?(?:\*[^'";]*?|\{[^}]*\}\s*)from\s+)'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'/g;

/** The arrows that leave one file. */
export function arrowsOf({ path, text }: Source, packages: Packages): Arrow[] {
  return [STATEMENT, DYNAMIC].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      from: path,
      ...resolve(path, match[1] ?? '', packages),
      line: text.slice(0, match.index).split('\n').length,
    })),
  );
}

function resolve(from: string, specifier: string, packages: Packages): Pick<Arrow, 'to' | 'byDoor'> {
  if (specifier.startsWith('.')) return { to: posix(join(dirname(from), specifier)), byDoor: false };
  if (specifier.startsWith('node:')) return { to: specifier, byDoor: false };
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const ours = packages.get(name);
  if (!ours) return { to: name, byDoor: false };
  const inside = `.${specifier.slice(name.length)}`;
  const door = ours.doors[inside];
  return { to: posix(join(ours.folder, door ?? inside)), byDoor: door !== undefined };
}

const posix = (path: string): string => path.split(sep).join('/');
