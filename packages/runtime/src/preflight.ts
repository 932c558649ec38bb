/** What is looked at before an agent starts (spec 4 §3.2): what fails ends the process, what warns is logged. */
import { access } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AdapterClass } from './adapter.ts';
import type { WorkspaceConfig } from './config.ts';

/** Adapters that come with the runtime. To add one: its file, then a line. */
const BUILT_IN: Readonly<Record<string, () => Promise<object>>> = {
  echo: () => import('./adapters/echo.ts'),
};

/** A built-in's name, a path, or a package. Throws an `Error` that says what is wrong with it. */
export async function loadAdapter(module: string): Promise<AdapterClass> {
  const isPath = isAbsolute(module) || module.startsWith('.');
  const load = BUILT_IN[module] ?? (() => import(isPath ? pathToFileURL(resolve(module)).href : module) as Promise<object>);
  const exported = await load().catch((error: unknown) => {
    throw new Error(`ADAPTER_MODULE: ${module} cannot be imported`, { cause: error });
  });
  const adapter = 'Adapter' in exported ? exported.Adapter : undefined;
  if (!isAdapter(adapter)) throw new Error(`ADAPTER_MODULE: ${module} does not export a class Adapter that says its name()`);
  return adapter;
}

const isAdapter = (value: unknown): value is AdapterClass => {
  if (typeof value !== 'function' || !('name' in value)) return false;
  const { name } = value as { name: unknown };
  return typeof name === 'function' && typeof name() === 'string' && name() !== '';
};

export interface Preflight {
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
}

export async function preflight(
  config: WorkspaceConfig,
  { adapter, configPath, port, env }: { adapter: AdapterClass; configPath: string; port: number; env: NodeJS.ProcessEnv },
): Promise<Preflight> {
  const failures: string[] = [];
  const warnings: string[] = [];
  const present = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );

  if (adapter.name() !== config.runtime) warnings.push(`runtime is ${config.runtime}, the adapter is ${adapter.name()}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) failures.push(`a2a.port: got ${port}; allowed: 1 to 65535`);

  const { required_env: required, auth_token_file: tokenFile, auth_token_env: tokenEnv } = config.runtime_config;
  for (const name of required) if (!env[name]) failures.push(`required environment variable ${name} is not set`);
  if (tokenFile !== '' && !(tokenEnv !== '' && env[tokenEnv]) && !(await present(join(configPath, tokenFile)))) {
    const finding = `auth_token_file ${tokenFile} is missing`;
    (required.includes(tokenEnv) ? failures : warnings).push(finding);
  }
  for (const file of config.prompt_files) {
    if (!(await present(join(configPath, file)))) warnings.push(`prompt file ${file} is missing`);
  }
  for (const id of config.skills) {
    if (!(await present(join(configPath, 'skills', id, 'SKILL.md')))) warnings.push(`skill ${id} has no SKILL.md`);
  }
  return { failures, warnings };
}
