/**
 * A file as the agent sees it: an absolute path below one of the directories that every workload has, whatever the backend keeps
 * behind them (spec 2 §5.2, spec 3 §5.4). Parsed once; a backend is never handed text.
 */

/** The directories of a workload that files are carried into and out of. */
export const ROOTS = ['/configs', '/workspace', '/home', '/plugins'] as const;
export type Root = (typeof ROOTS)[number];

export interface AgentPath {
  readonly root: Root;
  /** Below it, outermost first; none of them is empty, `.` or `..`, or holds a slash or NUL. Empty: the root itself. */
  readonly names: readonly string[];
}

export type PathFault = 'not-absolute' | 'outside' | 'not-canonical';

/** Checks in the order of spec 2 §5.2. */
export function parseAgentPath(text: string): AgentPath | PathFault {
  if (!text.startsWith('/')) return 'not-absolute';
  const root = ROOTS.find((one) => text === one || text.startsWith(`${one}/`));
  if (root === undefined) return 'outside';
  const names = text.split('/').slice(2);
  return names.every(isName) ? { root, names } : 'not-canonical';
}

export const textOf = ({ root, names }: AgentPath): string => [root, ...names].join('/');

/** The directories on the way to it, outermost first; the root is the first. */
export const directoriesTo = ({ root, names }: AgentPath): AgentPath[] =>
  names.map((_, index) => ({ root, names: names.slice(0, index) }));

const isName = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && !name.includes('\0');
