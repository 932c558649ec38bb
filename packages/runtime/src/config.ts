/** `config.yaml` of a workspace (spec 4 §13): every key optional, unknown ones kept out, an empty value is the default. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

/** YAML spells "nothing" as null: `role:` alone means the default. */
const or = <Schema extends z.ZodType>(schema: Schema, fallback: z.infer<Schema>) =>
  schema.nullish().transform((value): z.infer<Schema> => value ?? fallback);
const text = (fallback = '') => or(z.union([z.string(), z.number()]).transform(String), fallback);
const number = (fallback: number) => or(z.number(), fallback);
const flag = (fallback: boolean) => or(z.boolean(), fallback);
const texts = or(z.array(z.string()), []);
const section = <Shape extends z.ZodRawShape>(shape: Shape) => {
  const schema = z.object(shape);
  return z.preprocess((value) => value ?? {}, schema);
};

export const WorkspaceConfig = z.object({
  name: text('Workspace'),
  description: text(),
  role: text(),
  version: text('1.0.0'),
  tier: number(1),
  /** `provider:model`; the variable MODEL_PROVIDER wins. */
  model: text('anthropic:claude-opus-4-7'),
  runtime: text('langgraph'),
  /** Kept whole: what else stands here is the adapter's own. */
  runtime_config: z.preprocess(
    (value) => value ?? {},
    z.looseObject({
      command: text(),
      args: texts,
      required_env: texts,
      /** Seconds; 0 is none. */
      timeout: number(0),
      model: text(),
      auth_token_env: text(),
      auth_token_file: text(),
    }),
  ),
  initial_prompt: text(),
  initial_prompt_file: text(),
  idle_prompt: text(),
  idle_prompt_file: text(),
  idle_interval_seconds: number(600),
  skills: texts,
  plugins: texts,
  tools: texts,
  prompt_files: texts,
  shared_context: texts,
  sub_workspaces: or(z.array(z.unknown()), []),
  a2a: section({ port: number(8000), streaming: flag(true), push_notifications: flag(true) }),
  delegation: section({
    retry_attempts: number(3),
    retry_delay: number(5),
    timeout: number(120),
    escalate: flag(true),
  }),
  rbac: section({
    roles: or(z.array(z.string()), ['operator']),
    allowed_actions: or(z.record(z.string(), z.array(z.string())), {}),
  }),
});
export type WorkspaceConfig = z.infer<typeof WorkspaceConfig>;

/** Throws an `Error` saying what is wrong with the file, when it is absent, no YAML, or of wrong types. */
export async function loadConfig(directory: string, modelProvider?: string): Promise<WorkspaceConfig> {
  const path = join(directory, 'config.yaml');
  const config = parseConfig(await readFile(path, 'utf8'), path);
  return modelProvider === undefined ? config : { ...config, model: modelProvider };
}

export function parseConfig(source: string, path = 'config.yaml'): WorkspaceConfig {
  const result = WorkspaceConfig.safeParse(parse(source) ?? {});
  if (result.success) return result.data;
  const mistakes = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(the whole)'}: ${issue.message}`);
  throw new Error(`${path} is not a workspace configuration:\n${mistakes.join('\n')}`);
}
