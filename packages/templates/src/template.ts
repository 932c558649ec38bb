/** What the platform reads of a template's `config.yaml`; the rest is for the agent's runtime (spec 3 §1.13). */
import { constants, open } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

export const CONFIG_FILE = 'config.yaml';
/** No configuration that a person wrote comes near it. */
const MAX_BYTES = 256 * 1024;
/** Anchors are for people; a document in which they multiply is for nobody. */
const MAX_ALIASES = 100;

/** A key with another type than it should have says nothing. */
const text = z.string().catch('');
const positive = z.int().positive().nullable().catch(null);

const SubWorkspaceFile = z.object({ config: text, name: text, role: text });

const ConfigFile = z.object({
  name: text,
  tier: z.int().catch(0),
  runtime: text,
  model: text,
  runtime_config: z
    .object({ model: text, provision_timeout_seconds: positive })
    .catch({ model: '', provision_timeout_seconds: null }),
  sub_workspaces: z.array(z.unknown()).catch([]),
});

export interface SubWorkspace {
  /** The template it is made of; `''`: none. */
  readonly config: string;
  readonly name: string;
  readonly role: string;
}

/** `''` where nothing is said. */
export interface Template {
  readonly name: string;
  /** 0: nothing is said. */
  readonly tier: number;
  readonly runtime: string;
  /** At the top level, else the one of `runtime_config`. */
  readonly model: string;
  readonly provisionTimeoutSeconds: number | null;
  readonly subWorkspaces: readonly SubWorkspace[];
}

/** `absent`: there is no such file. `unread`: there is, and it cannot be read, or is too large. `unparsed`: it is not what it should be. */
export class TemplateUnreadable extends Error {
  readonly reason: 'absent' | 'unread' | 'unparsed';

  constructor(reason: 'absent' | 'unread' | 'unparsed', path: string, cause?: unknown) {
    super(`the template configuration ${path} cannot be used: ${reason}`, { cause });
    this.reason = reason;
  }

  override get name(): string {
    return 'TemplateUnreadable';
  }
}

/** @throws TemplateUnreadable */
export async function readTemplate(directory: string): Promise<Template> {
  const path = join(directory, CONFIG_FILE);
  return parseTemplate(await readBounded(path), path);
}

/** @throws TemplateUnreadable with the reason `unparsed` */
export function parseTemplate(source: string, path = CONFIG_FILE): Template {
  let file: z.infer<typeof ConfigFile>;
  try {
    // What is nested without end overflows the parser's stack: that too is a file that cannot be parsed.
    file = ConfigFile.parse(parse(source, { maxAliasCount: MAX_ALIASES, logLevel: 'error' }));
  } catch (error) {
    throw new TemplateUnreadable('unparsed', path, error);
  }
  return {
    name: file.name,
    tier: file.tier,
    runtime: file.runtime.trim(),
    model: (file.model || file.runtime_config.model).trim(),
    provisionTimeoutSeconds: file.runtime_config.provision_timeout_seconds,
    subWorkspaces: file.sub_workspaces.flatMap((entry) => {
      const { success, data } = SubWorkspaceFile.safeParse(entry);
      return success ? [{ ...data, name: data.name || data.config }] : [];
    }),
  };
}

/** A regular file that is not too large: never more of it is read, whatever it grows to meanwhile. */
async function readBounded(path: string): Promise<string> {
  try {
    // A pipe that nobody writes to would be waited for.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new Error('not a file');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
      if (bytesRead > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    const absent = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    throw new TemplateUnreadable(absent ? 'absent' : 'unread', path, error);
  }
}
