/**
 * Which file of ours imports what, type-only imports included.
 *
 * The compiler has no API for this any more, and it needs none: the formatter puts every `import` and `export … from` at
 * the start of a line, and that is where they are read. Names of our packages lead to their front doors.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

export interface Arrow {
  /** A path from the root of the repository. */
  readonly from: string;
  /** The same, or the name of somebody else's package, or `node:…`. */
  readonly to: string;
  readonly line: number;
}

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

/** The folder of each package of ours, by its name. */
export function readPackages(root: string): Map<string, string> {
  const folders = globSync(FOLDERS, { cwd: root }).filter((folder) => existsSync(join(root, folder, 'package.json')));
  return new Map(folders.map((folder) => [nameOf(join(root, folder, 'package.json')), folder.split(sep).join('/')]));
}

const nameOf = (file: string): string => (JSON.parse(readFileSync(file, 'utf8')) as { name: string }).name;

/** `import 'x'`, `import … from 'x'`, `export … from 'x'` over any number of lines; and `import('x')` anywhere. */
const STATEMENT = /^(?:import\s+(?:[^'";]*?\bfrom\s+)?|export\s+(?:type\s+)?(?:\*[^'";]*?|\{[^}]*\}\s*)from\s+)'([^']+)'/gm;
const DYNAMIC = /\bimport\(\s*'([^']+)'/g;

/** The arrows that leave one file. */
export function arrowsOf({ path, text }: Source, packages: ReadonlyMap<string, string>): Arrow[] {
  return [STATEMENT, DYNAMIC].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      from: path,
      to: resolve(path, match[1] ?? '', packages),
      line: text.slice(0, match.index).split('\n').length,
    })),
  );
}

function resolve(from: string, specifier: string, packages: ReadonlyMap<string, string>): string {
  if (specifier.startsWith('.'))
    return relative('.', join(dirname(from), specifier))
      .split(sep)
      .join('/');
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const folder = packages.get(name);
  if (folder === undefined) return specifier.startsWith('node:') ? specifier : name;
  return specifier === name ? `${folder}/src/index.ts` : `${folder}/${specifier.slice(name.length + 1)}`;
}
