/**
 * The templates of an installation (spec 3 §5.1), as they are on disk at the moment they are asked for.
 *
 *   T1. A template is a sub-directory with a readable `config.yaml`; its id is the directory's name. What cannot be read or parsed is
 *       passed over.
 *   T2. No name that a caller gives leads out of the root (`paths.ts`).
 *   T3. What the provisioning timeouts are is read once, at the first question (spec 1 §1.12).
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TemplateDirectories, type TemplateSettings, templateDirectories } from './directories.ts';
import { directoryNameOf, normalizeName } from './names.ts';
import { isInside, type Located, locate } from './paths.ts';
import { EXISTING_VOLUME, ORG_PREFIX, type RestartSource, type RestartWish } from './restart.ts';
import { Runtimes } from './runtimes.ts';
import { readTemplate, type Template, TemplateUnreadable } from './template.ts';

export interface Listed {
  readonly id: string;
  readonly template: Template;
}

export class Templates {
  readonly directories: TemplateDirectories;
  readonly runtimes: Runtimes;
  #timeouts: Promise<ReadonlyMap<string, number>> | undefined;

  constructor(directories: TemplateDirectories, runtimes: Runtimes = new Runtimes()) {
    this.directories = directories;
    this.runtimes = runtimes;
  }

  /** `warn` hears of a setting that could not be followed. */
  static async open(settings: TemplateSettings, warn: (message: string) => void): Promise<Templates> {
    const { WORKSPACE_MANIFEST_PATH: manifest } = settings;
    const [directories, runtimes] = await Promise.all([templateDirectories(settings), Runtimes.read(manifest)]);
    if (manifest !== '' && runtimes.manifest === null) {
      warn('WORKSPACE_MANIFEST_PATH leads to no manifest that can be read: the usual runtimes are known');
    }
    return new Templates(directories, runtimes);
  }

  /** What a caller's `template` leads to (T2). */
  locate(template: string): Promise<Located> {
    return locate(this.directories.configsDir, template);
  }

  /** Where a label leads, as a restart gave it: a template, or `org-templates/<dir>`. `null`: there is no such directory. */
  async directoryOf(label: string): Promise<string | null> {
    const own = await this.locate(label);
    if (own.kind === 'directory') return own.path;
    if (!label.startsWith(ORG_PREFIX)) return null;
    const org = await locate(this.directories.orgTemplatesDir, label.slice(ORG_PREFIX.length));
    return org.kind === 'directory' ? org.path : null;
  }

  /** What a template says. @throws TemplateUnreadable, also when it is not there, or not inside the root */
  async read(template: string): Promise<Template> {
    const located = await this.locate(template);
    if (located.kind !== 'directory') throw new TemplateUnreadable('absent', template);
    return await readTemplate(located.path);
  }

  /** Every template, by its id (T1). */
  list(): Promise<Listed[]> {
    return listTemplates(this.directories.configsDir);
  }

  /** The provisioning timeouts that templates declare, in seconds: of each runtime the longest (T3). */
  provisionTimeouts(): Promise<ReadonlyMap<string, number>> {
    this.#timeouts ??= this.list().then((listed) => longestTimeouts(listed.map(({ template }) => template)));
    return this.#timeouts;
  }

  /** The template of a team: by the normal form of its name, else the first that has the very name (spec 3 §5.9). */
  async ofTeam(name: string): Promise<Template | undefined> {
    const normal = normalizeName(name);
    try {
      return await this.read(normal);
    } catch (error) {
      if (!(error instanceof TemplateUnreadable) || error.reason !== 'absent') throw error;
    }
    return (await this.list()).find(({ template }) => template.name === name)?.template;
  }

  /** See `restart.ts`. A template that is not there, or not inside the root, is passed over silently. */
  async forRestart({ name, runtime, template, applyTemplate, rebuildConfig }: RestartWish): Promise<RestartSource> {
    const { configsDir, orgTemplatesDir } = this.directories;
    const given = template === '' ? undefined : await this.locate(template);
    if (given?.kind === 'directory') return { label: template, directory: given.path };
    const matched = applyTemplate ? await matchName(configsDir, name) : undefined;
    if (matched) return { label: matched.id, directory: matched.path };
    const org = rebuildConfig
      ? ((await matchName(join(configsDir, ORG_PREFIX), name)) ?? (await matchName(orgTemplatesDir, name)))
      : undefined;
    if (org) return { label: `${ORG_PREFIX}${org.id}`, directory: org.path };
    const own = `${this.runtimes.coerce(runtime)}-default`;
    const fallback = applyTemplate ? await this.locate(own) : undefined;
    return fallback?.kind === 'directory' ? { label: own, directory: fallback.path } : EXISTING_VOLUME;
  }
}

async function listTemplates(root: string): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (const id of await entriesOf(root)) {
    const template = await readInside(root, id);
    if (template) listed.push({ id, template });
  }
  return listed;
}

/** By name, in the order of their code units; none where the root cannot be read. */
const entriesOf = async (root: string): Promise<string[]> => (await readdir(root).catch(() => [])).sort();

/** T1, T2: `undefined` for what is no template. */
async function readInside(root: string, id: string): Promise<Template | undefined> {
  try {
    const located = await locate(root, id);
    return located.kind === 'directory' ? await readTemplate(located.path) : undefined;
  } catch {
    return undefined;
  }
}

const IMPORTED = 'ws-';

/** Spec 3 §5.1: the directory that has the name of the workspace, else the first whose configuration has it. */
async function matchName(root: string, name: string): Promise<{ readonly id: string; readonly path: string } | undefined> {
  const direct = directoryNameOf(name);
  if (direct !== null) {
    const located = await locate(root, direct);
    if (located.kind === 'directory') return { id: direct, path: located.path };
  }
  const wanted = name.toLowerCase();
  for (const { id, template } of await listTemplates(root)) {
    if (id.startsWith(IMPORTED) || template.name.toLowerCase() !== wanted || !isInside(id)) continue;
    const located = await locate(root, id);
    if (located.kind === 'directory') return { id, path: located.path };
  }
  return undefined;
}

function longestTimeouts(templates: readonly Template[]): ReadonlyMap<string, number> {
  const longest = new Map<string, number>();
  for (const { runtime, provisionTimeoutSeconds: seconds } of templates) {
    if (runtime !== '' && seconds !== null) longest.set(runtime, Math.max(seconds, longest.get(runtime) ?? 0));
  }
  return longest;
}
