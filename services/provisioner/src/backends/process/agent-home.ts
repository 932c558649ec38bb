/**
 * The directory of one workspace under the process backend: `<MOLECULE_HOME>/workspaces/<id12>/`.
 *
 *   workspace.json   the label: that it is ours, of which installation, since when
 *   agent.json       the process that was started last: pid, when it started
 *   ready.json       written by the agent when it listens: where
 *   agent.log        what it printed; agent.log.1 is what was there before
 *   configs/         what containers have as /configs
 *   workspace/       what containers have as /workspace
 */
import { closeSync, openSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { z } from 'zod';
import type { AgentPath } from '../agent-path.ts';
import { type ConfigFile, isPrefix } from '../backend.ts';
import type { Place } from './agent-files.ts';

export const Label = z.object({
  'molecule.platform.managed': z.literal(true),
  'molecule.platform.installation': z.string(),
  workspaceId: z.string(),
  runtime: z.string(),
  createdAt: z.string(),
  /** The directory of the host that it works in; absent: its own. */
  mount: z.string().optional(),
});
export type Label = z.infer<typeof Label>;

export const AgentRecord = z.object({ pid: z.number().int().positive(), startTime: z.string() });
export type AgentRecord = z.infer<typeof AgentRecord>;

export const Ready = z.object({ pid: z.number().int(), port: z.number().int(), url: z.string() });
export type Ready = z.infer<typeof Ready>;

/** An agent that prints more than this has the older half of it forgotten. */
const LARGEST_LOG_BYTES = 8 * 1024 * 1024;

export class AgentHome {
  readonly prefix: string;
  readonly directory: string;

  constructor(root: string, prefix: string) {
    if (!isPrefix(prefix)) throw new TypeError(`not the beginning of a workspace id: ${JSON.stringify(prefix)}`);
    this.prefix = prefix;
    this.directory = join(root, prefix);
  }

  get configs(): string {
    return join(this.directory, 'configs');
  }

  get workspace(): string {
    return join(this.directory, 'workspace');
  }

  get readyFile(): string {
    return join(this.directory, 'ready.json');
  }

  get log(): string {
    return join(this.directory, 'agent.log');
  }

  get #recordFile(): string {
    return join(this.directory, 'agent.json');
  }

  /** All of `root` that look like ours; whether they are, their label says. */
  static async all(root: string): Promise<AgentHome[]> {
    const names = await readdir(root).catch(absent([] as string[]));
    return names.filter(isPrefix).map((name) => new AgentHome(root, name));
  }

  async create(label: Omit<Label, 'createdAt'>, now: Date): Promise<void> {
    await mkdir(this.configs, { recursive: true, mode: 0o700 });
    await mkdir(this.workspace, { recursive: true });
    const createdAt = (await this.label())?.createdAt ?? now.toISOString();
    await writeWhole(join(this.directory, 'workspace.json'), JSON.stringify({ ...label, createdAt }));
  }

  /** `undefined`: it carries none, so it is not ours. @throws when it cannot be read. */
  label(): Promise<Label | undefined> {
    return readJson(join(this.directory, 'workspace.json'), Label);
  }

  record(): Promise<AgentRecord | undefined> {
    return readJson(this.#recordFile, AgentRecord);
  }

  async remember(record: AgentRecord): Promise<void> {
    await writeWhole(this.#recordFile, JSON.stringify(record));
  }

  async forget(): Promise<void> {
    await rm(this.#recordFile, { force: true });
    await rm(this.readyFile, { force: true });
  }

  ready(): Promise<Ready | undefined> {
    return readJson(this.readyFile, Ready);
  }

  /** Where a path of the agent is here. Its home is where it works, and its plugins are part of its configuration. */
  async place({ root, names }: AgentPath): Promise<Place> {
    switch (root) {
      case '/configs':
        return { base: this.configs, names };
      case '/plugins':
        return { base: this.configs, names: ['plugins', ...names] };
      case '/workspace':
      case '/home':
        return { base: (await this.label())?.mount ?? this.workspace, names };
    }
  }

  async hasConfig(): Promise<boolean> {
    return await stat(join(this.configs, 'config.yaml')).then((found) => found.isFile(), absent(false));
  }

  async write(files: readonly ConfigFile[]): Promise<void> {
    for (const { path, data, mode } of files) {
      const target = normalize(join(this.configs, path));
      if (!target.startsWith(`${this.configs}/`)) throw new TypeError('a file would be written outside the config directory');
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, data, { mode });
      await chmod(target, mode);
    }
  }

  /** At most `maxBytes` of a file of the config directory; `undefined`: it is not there. */
  async read(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const target = normalize(join(this.configs, path));
    if (!target.startsWith(`${this.configs}/`)) throw new TypeError('a file would be read outside the config directory');
    const file = await open(target, 'r').catch(absent(undefined));
    if (file === undefined) return undefined;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** What containers have in a volume of its own, agents have in their home. A directory of the host is its user's, and left alone. */
  async forgetSessions(): Promise<void> {
    await rm(join(this.workspace, '.claude', 'sessions'), { recursive: true, force: true });
  }

  /** A descriptor that the agent writes its output to; it stays good when we are gone. */
  openLog(): { readonly descriptor: number; close(): void } {
    const descriptor = openSync(this.log, 'a', 0o600);
    return { descriptor, close: () => closeSync(descriptor) };
  }

  /** The agent appends all the while, so the file is emptied in place: it goes on at the beginning. */
  async boundLog(): Promise<void> {
    const size = await stat(this.log).then((found) => found.size, absent(0));
    if (size <= LARGEST_LOG_BYTES) return;
    await copyFile(this.log, `${this.log}.1`);
    await truncate(this.log);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  }
}

const absent =
  <Value>(fallback: Value) =>
  (error: NodeJS.ErrnoException): Value => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return fallback;
    throw error;
  };

/** What is no valid JSON of that shape is as good as absent: a write was cut off. */
async function readJson<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.infer<Schema> | undefined> {
  const text = await readFile(path, 'utf8').catch(absent(''));
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}
