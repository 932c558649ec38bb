/** `POST /workspaces`: what the body may hold, and the refusals in their order (spec 1 §1.4). Pure. */
import { isAbsolute, normalize } from 'node:path/posix';
import { Refusal, WorkspaceAccess, WorkspaceId } from '@molecule/contracts';
import { z } from 'zod';
import type { NewWorkspace } from './decisions.ts';

/** `null` in an optional scalar counts as absent (§0). */
const orDefault = <Schema extends z.ZodType>(schema: Schema, fallback: z.infer<Schema>) =>
  schema.nullish().transform((value) => value ?? fallback);
/** What an integer column holds. */
export const Int = z.int32();

/** By name. A name that no record can hold would be dropped without a word, and an agent would start without its secret. */
const Secrets = z
  .unknown()
  .refine((given) => typeof given !== 'object' || given === null || !Object.hasOwn(given, '__proto__'))
  .meta({ type: ['object', 'null'], additionalProperties: { type: 'string' } })
  .pipe(z.record(z.string(), z.string()).nullish())
  .optional();

export const NewWorkspaceBody = z.object({
  name: z.string().min(1),
  role: orDefault(z.string(), ''),
  template: orDefault(z.string(), ''),
  tier: orDefault(Int, 0),
  model: orDefault(z.string(), ''),
  runtime: orDefault(z.string(), ''),
  external: orDefault(z.boolean(), false),
  url: orDefault(z.string().max(2_048), ''),
  workspace_dir: orDefault(z.string(), ''),
  workspace_access: orDefault(z.string(), ''),
  parent_id: z.string().nullish(),
  budget_limit: z.number().int().nullish(),
  secrets: Secrets.transform((secrets) => secrets ?? {}),
  max_concurrent_tasks: orDefault(Int, 0),
  canvas: z
    .object({ x: orDefault(z.number(), 0), y: orDefault(z.number(), 0) })
    .nullish()
    .transform((canvas) => canvas ?? { x: 0, y: 0 }),
  /** Taken in by the memories of the workspace, which fail without failing the creation. */
  initial_memories: z.array(z.object({ content: z.string().nullish(), scope: z.string().nullish() })).nullish(),
});
export type NewWorkspaceBody = z.infer<typeof NewWorkspaceBody>;

const refuse = (message: string) => new Refusal('invalid', message);
export const invalidPayload = () => refuse('invalid workspace payload');

/** What the template says that was asked for: `''` for what it does not say, or where there is none. */
export type TemplateSays = 'outside' | { readonly runtime: string; readonly model: string };

/** What is asked for, checked field by field in the order of the specification. Throws the route's 400. */
export function parseNewWorkspace(body: NewWorkspaceBody, says: TemplateSays): NewWorkspace {
  const { name, role, template } = body;
  if (textProblem({ name, role, model: body.model, runtime: body.runtime }) !== null) throw refuse('invalid workspace fields');
  if (says === 'outside') throw refuse('invalid template'); // §9 #7: also when nothing is wanted of it
  const runtime = body.runtime || fitting('runtime', says.runtime);
  const model = body.model || fitting('model', says.model);
  const workspaceDir = body.workspace_dir === '' ? null : body.workspace_dir;
  if (workspaceDir !== null && !isAllowedDirectory(workspaceDir)) throw refuse('invalid workspace directory');
  const access = WorkspaceAccess.safeParse(body.workspace_access === '' ? 'none' : body.workspace_access);
  if (!access.success || (access.data !== 'none' && workspaceDir === null)) throw refuse('invalid workspace access');
  const external = body.external || runtime === 'external';
  return {
    name,
    role: role === '' ? null : role,
    tier: body.tier === 0 ? 3 : body.tier,
    runtime: external ? 'external' : runtime === '' ? 'langgraph' : runtime,
    external,
    url: external ? body.url : '',
    parentId: parentOf(body.parent_id),
    template,
    model,
    workspaceDir,
    workspaceAccess: access.data,
    maxConcurrentTasks: Math.max(body.max_concurrent_tasks, 1),
    budgetLimit: body.budget_limit ?? null,
    canvas: body.canvas,
  };
}

/** A parent that is not even an id does not exist either. */
function parentOf(text: string | null | undefined): WorkspaceId | null {
  if (text === undefined || text === null) return null;
  const id = WorkspaceId.safeParse(text);
  if (!id.success) throw new Refusal('failed', 'failed to create workspace');
  return id.data;
}

const MAX_BYTES = { name: 255, role: 1_000, model: 100, runtime: 100 } as const;
/** They mean something in the YAML that is made of these two. */
const BANNED = /[{}[\]|>*&!]/;
type TextField = keyof typeof MAX_BYTES;

/** What is wrong with these texts, in the words of `PATCH` (§1.5), or `null`. */
export function textProblem(fields: Partial<Record<TextField, string | null | undefined>>): string | null {
  const given = (Object.entries(fields) as [TextField, string | null | undefined][]).filter(
    (entry): entry is [TextField, string] => typeof entry[1] === 'string',
  );
  const tooLong = given.find(([field, text]) => Buffer.byteLength(text) > MAX_BYTES[field]);
  if (tooLong) return `${tooLong[0]} must be at most ${MAX_BYTES[tooLong[0]]} characters`;
  const broken = given.find(([, text]) => /[\r\n]/.test(text));
  if (broken) return `${broken[0]} must not contain newline characters`;
  const banned = given.find(([field, text]) => (field === 'name' || field === 'role') && BANNED.test(text));
  return banned ? `${banned[0]} contains invalid characters` : null;
}

/** What a template says, unless nobody could have asked for it. */
const fitting = (field: 'runtime' | 'model', text: string): string => (textProblem({ [field]: text }) === null ? text : '');

/** Those of §1.4, and `/run`, which is `/var/run`: whoever has the socket of the container engine has the host. */
const SYSTEM_DIRECTORIES = ['/etc', '/var', '/run', '/proc', '/sys', '/dev', '/boot', '/sbin', '/bin', '/lib', '/usr'];

/** A directory of the host that may be mounted into a workspace (§1.4). The root holds all that may not be. */
export function isAllowedDirectory(path: string): boolean {
  if (!isAbsolute(path) || path.includes('..') || path.length > 4_096) return false;
  const normal = normalize(path);
  return normal !== '/' && !SYSTEM_DIRECTORIES.some((system) => normal === system || normal.startsWith(`${system}/`));
}
