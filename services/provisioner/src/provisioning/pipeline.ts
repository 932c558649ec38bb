/** From a blueprint to something that runs (spec 3 §1.10). It says what came of it; recording that is its caller's business. */
import type { StartOptions, WorkspaceId, WorkspaceStatus } from '@molecule/contracts';
import type { WorkloadSpec } from '../backends/backend.ts';
import type { Parts } from '../parts.ts';
import { type Blueprint, blueprintOf } from './blueprints.ts';
import { filesOfTemplate, seedFor } from './config-source.ts';
import { FAILURES, type Failure } from './failures.ts';
import { agentEnvironment } from './identity.ts';
import { rotateToken } from './token.ts';

export type Provisioned =
  | { readonly kind: 'started'; readonly url: string }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly cause: unknown }
  /** Nobody wants it to run any more. */
  | { readonly kind: 'moot' };

/** I5: what is in any other status is not started, whoever asked for it earlier. */
export const MAY_RUN: ReadonlySet<WorkspaceStatus> = new Set(['provisioning', 'online', 'degraded', 'offline']);

export interface Start {
  readonly workspaceId: WorkspaceId;
  readonly run: number;
  /** How it differs from an ordinary one. */
  readonly options?: StartOptions | undefined;
}

/** `signal` bounds it as a whole. Never rejects. */
export async function provision(parts: Parts, start: Start, signal: AbortSignal): Promise<Provisioned> {
  try {
    return await steps(parts, start, signal);
  } catch (error) {
    return { kind: 'failed', failure: FAILURES.start, cause: error };
  }
}

async function steps(parts: Parts, { workspaceId, run, options }: Start, signal: AbortSignal): Promise<Provisioned> {
  const { ledger, directory, backend, templates, awarenessUrl, log } = parts;
  const entry = directory.get(workspaceId);
  if (entry !== undefined && !MAY_RUN.has(entry.status)) return { kind: 'moot' };
  const blueprint = await blueprintOf(ledger.db, workspaceId);
  if (blueprint === undefined) throw new Error('nobody said what this workspace is made of');

  // After the first start the volume is what its user made of it: a template that has gone since is no reason to fail.
  const seed = (await seedFor(blueprint, templates)) ?? (run === 1 ? undefined : []);
  if (seed === undefined) {
    return { kind: 'failed', failure: FAILURES.noConfig(workspaceId), cause: new Error('the template has no config.yaml') };
  }
  const template = options?.template ?? null;
  const chosen = template === null ? [] : await filesOfTemplate(templates, template);
  if (template !== null && chosen.length === 0)
    log.warn({ workspaceId, template }, 'a template has gone; the volume stays as it is');
  const mount = mountOf(blueprint, parts.workspaceDir);
  // An agent from elsewhere may have registered meanwhile: its token lives on where nothing of ours can take its place.
  const obstacle = backend.cannotRun?.({ runtime: blueprint.runtime, mount }) ?? null;
  if (obstacle !== null) return { kind: 'failed', failure: FAILURES.start, cause: obstacle };
  const token = await rotateToken(parts, { workspaceId, run, signal });
  if (token.kind === 'unwanted') return { kind: 'moot' };
  signal.throwIfAborted();
  const parentId = entry?.parentId ?? null;
  const env = agentEnvironment(blueprint, { workspaceId, parentId, awarenessUrl, given: {} });
  const spec: WorkloadSpec = {
    workspaceId,
    runtime: blueprint.runtime,
    tier: blueprint.tier,
    env,
    seed,
    files: [...chosen, ...token.files],
    resetSession: options?.resetSession === true || YES.has(env['WORKSPACE_RESET_SESSION'] ?? ''),
    mount,
  };
  const started = await backend.start(spec, signal);
  return started.outcome === 'started'
    ? { kind: 'started', url: started.url }
    : { kind: 'failed', failure: FAILURES.start, cause: started.cause };
}

/** Spec 3 §1.5 step 2. */
const YES: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);

/** Spec 3 §1.7: with access `none`, the default, a directory of the host is not mounted. */
const mountOf = ({ workspaceDir, workspaceAccess }: Blueprint, fallback: string): WorkloadSpec['mount'] => {
  const hostPath = workspaceDir || fallback;
  return hostPath === '' || workspaceAccess === 'none' ? null : { hostPath, readOnly: workspaceAccess === 'read_only' };
};
