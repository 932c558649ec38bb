/** Where a fresh workspace has its `config.yaml` from: a template, or one written here (spec 3 §1.12, §1.13). */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { Runtimes, Templates } from '@molecule/templates';
import type { ConfigFile } from '../backends/backend.ts';
import type { Blueprint } from './blueprints.ts';

const WITHOUT_RUNTIME_CONFIG = ['langgraph', 'deepagents'];
const LARGEST_TEMPLATE_BYTES = 32 * 1024 * 1024;

/** Nothing that a user wrote can end the scalar it stands in: JSON's strings are YAML's, but for a few characters more. */
const quoted = (text: string): string =>
  JSON.stringify(text.replaceAll('\r', '').replaceAll('\n', ' ')).replace(
    /[\p{Cc}\p{Zl}\p{Zp}\ufeff]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Spec 3 §1.13. */
export function generatedConfig({ name, role, tier, runtime, model }: Blueprint, runtimes: Runtimes): string {
  const allowed = runtimes.coerce(runtime);
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
export async function seedFor(blueprint: Blueprint, templates: Templates): Promise<readonly ConfigFile[] | undefined> {
  const { template, runtime } = blueprint;
  const own = templates.runtimes.coerce(runtime);
  if (template !== '') {
    const chosen = await directoryOf(templates, template);
    if (chosen !== undefined) {
      const files = await filesOf(chosen);
      if (hasConfig(files)) return files;
      for (const name of [`${own}-default`, own]) {
        const directory = await directoryOf(templates, name);
        const fallback = directory === undefined ? [] : await filesOf(directory);
        if (hasConfig(fallback)) return fallback;
      }
      return undefined;
    }
    const directory = await directoryOf(templates, `${own}-default`);
    if (directory !== undefined) return await filesOf(directory);
  }
  const data = Buffer.from(generatedConfig(blueprint, templates.runtimes));
  return [{ path: 'config.yaml', data, mode: 0o644 }];
}

/** What leads out of the templates is not there. */
async function directoryOf(templates: Templates, name: string): Promise<string | undefined> {
  const located = await templates.locate(name);
  return located.kind === 'directory' ? located.path : undefined;
}

/** All that a template holds; nothing when it has gone. */
export async function filesOfTemplate(templates: Templates, label: string): Promise<readonly ConfigFile[]> {
  const directory = await templates.directoryOf(label);
  return directory === null ? [] : await filesOf(directory);
}

const hasConfig = (files: readonly ConfigFile[]): boolean => files.some(({ path }) => path === 'config.yaml');

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
