/**
 * Settings that a control plane keeps for the platform of one organisation (spec 1 §4.10): laid over the environment before anything
 * reads it.
 *
 *   T1. Nothing depends on it: what goes wrong is told, and the environment stays as it is.
 *   T2. It is asked for within a bound of time and size; the secret that it is asked with follows no redirection.
 *   T3. Names are logged, values never (I10).
 */
import { z } from 'zod';
import type { Log } from './log.ts';

/** What decides whether and where it is asked for. */
export const TenantSource = z.object({
  MOLECULE_ORG_ID: z.string().min(1),
  ADMIN_TOKEN: z.string().min(1),
  MOLECULE_CP_URL: z
    .string()
    .optional()
    .transform((url) => url || DEFAULT_CONTROL_PLANE),
});

const DEFAULT_CONTROL_PLANE = 'https://api.moleculesai.app';
const PATH = '/cp/tenants/config';
const ANSWER_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_VALUE_BYTES = 4 * 1024;

const Settings = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string());

export interface TenantSettings {
  /** The environment to read. */
  readonly env: NodeJS.ProcessEnv;
  /** Says what was found, once there is a log. */
  tell(log: Log): void;
}

/** Asks, if the environment says so. Never rejects. */
export async function withTenantSettings(
  env: NodeJS.ProcessEnv,
  { timeoutMs = ANSWER_MS }: { readonly timeoutMs?: number } = {},
): Promise<TenantSettings> {
  const source = TenantSource.safeParse(env);
  if (!source.success) return { env, tell: () => undefined };
  try {
    const settings = await ask(source.data, timeoutMs);
    return {
      env: { ...env, ...settings },
      tell: (log) => log.info({ names: Object.keys(settings) }, 'the control plane has settings for this platform'),
    };
  } catch (error) {
    return { env, tell: (log) => log.warn({ err: error }, 'the control plane did not tell its settings; starting without') }; // T1
  }
}

async function ask(
  { MOLECULE_CP_URL: url, MOLECULE_ORG_ID: orgId, ADMIN_TOKEN: token }: z.output<typeof TenantSource>,
  timeoutMs: number,
): Promise<Record<string, string>> {
  const response = await fetch(`${url.replace(/\/$/, '')}${PATH}`, {
    headers: { authorization: `Bearer ${token}`, 'x-molecule-org-id': orgId },
    redirect: 'error', // T2
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await boundedText(response);
  if (response.status !== 200) throw new Error(`the control plane answered ${response.status}`);
  const settings = Settings.parse(JSON.parse(text));
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => Buffer.byteLength(value) <= MAX_VALUE_BYTES));
}

/** @throws Error when there is more than we take */
async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the control plane answered more than 64 KiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
