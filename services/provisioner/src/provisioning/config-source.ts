/** Where a fresh workspace has its `config.yaml` from: a template, or one written here (spec 3 §1.12, §1.13). */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { ConfigFile } from '../backends/backend.ts';
import type { Blueprint } from './blueprints.ts';

/** The runtimes a workspace may have (spec 3 §5.7); any other is written as the first. */
const RUNTIMES = [
  'langgraph',
  'claude-code',
  'openclaw',
  'deepagents',
  'crewai',
  'autogen',
  'hermes',
  'gemini-cli',
  'codex',
  'external',
  'echo',
] as const;
const WITHOUT_RUNTIME_CONFIG = ['langgraph', 'deepagents'];
const LARGEST_TEMPLATE_BYTES = 32 * 1024 * 1024;

export const allowedRuntime = (runtime: string): string => RUNTIMES.find((known) => known === runtime) ?? RUNTIMES[0];

/** Nothing that a user wrote can end the scalar it stands in: JSON's strings are YAML's, but for a few characters more. */
const quoted = (text: string): string =>
  JSON.stringify(text.replaceAll('\r', '').replaceAll('\n', ' ')).replace(
    /[\p{Cc}\p{Zl}\p{Zp}\ufeff]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Spec 3 §1.13. */
export function generatedConfig({ name, role, tier, runtime, model }: Blueprint): string {
  const allowed = allowedRuntime(runtime);
  const fallback = allowed === 'claude-code' ? 'sonnet' : 'anthropic:claude-opus-4-7';
  const lines = [
    `name: ${quoted(name)}`,
    `description: ${quoted(role ?? '')}`,
    'version: 1.0.0',
    `tier: ${tier}`,
    `runtime: ${allowed}`,
    `model: ${quoted(model || fallback)}`,
    ...(WITHOUT_RUNTIME_CONFIG.includes(allowed) ? [] : ['runtime_config:', '  timeout: 0']),
  ];
  return `${lines.join('\n')}\n`;
}

/** `undefined`: a template was asked for, and there is no `config.yaml` in it nor in the runtime's own. */
export async function seedFor(blueprint: Blueprint, configsDir: string): Promise<readonly ConfigFile[] | undefined> {
  const { template, runtime } = blueprint;
  const own = [`${allowedRuntime(runtime)}-default`, allowedRuntime(runtime)];
  if (template !== '') {
    const chosen = await templateDirectory(configsDir, template);
    if (chosen !== undefined) {
      const files = await filesOf(chosen);
      if (hasConfig(files)) return files;
      for (const name of own) {
        const directory = await templateDirectory(configsDir, name);
        const fallback = directory === undefined ? [] : await filesOf(directory);
        if (hasConfig(fallback)) return fallback;
      }
      return undefined;
    }
    const directory = await templateDirectory(configsDir, `${allowedRuntime(runtime)}-default`);
    if (directory !== undefined) return await filesOf(directory);
  }
  return [{ path: 'config.yaml', data: Buffer.from(generatedConfig(blueprint)), mode: 0o644 }];
}

const hasConfig = (files: readonly ConfigFile[]): boolean => files.some(({ path }) => path === 'config.yaml');

/** A directory inside `configsDir`, also after all links are followed. */
async function templateDirectory(configsDir: string, name: string): Promise<string | undefined> {
  try {
    const root = await realpath(configsDir);
    const directory = await realpath(resolve(root, name));
    return directory.startsWith(root + sep) && (await stat(directory)).isDirectory() ? directory : undefined;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** All regular files; `config.yaml` comes last, so that where it is the rest is too. @throws when there is too much of it. */
async function filesOf(root: string): Promise<ConfigFile[]> {
  const entries = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  const files: ConfigFile[] = [];
  let size = 0;
  for (const path of paths) {
    const name = relative(root, path).split(sep).join('/');
    const data = normalised(name, await readFile(path));
    size += data.length;
    if (size > LARGEST_TEMPLATE_BYTES) throw new Error(`the template ${root} is larger than ${LARGEST_TEMPLATE_BYTES} bytes`);
    files.push({ path: name, data, mode: (await stat(path)).mode & 0o777 });
  }
  return [...files.filter(({ path }) => path !== 'config.yaml'), ...files.filter(({ path }) => path === 'config.yaml')];
}

/** Spec 3 §1.5 step 7: scripts and texts that were written on Windows. */
const normalised = (name: string, data: Buffer): Buffer =>
  /\.(sh|py|md)$/.test(name) ? Buffer.from(data.toString('latin1').replaceAll('\r\n', '\n'), 'latin1') : data;
