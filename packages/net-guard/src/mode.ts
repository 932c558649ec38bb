/** Which column of the table holds (spec 1 §3.8). */
import type { GuardMode } from './ranges.ts';

const DEVELOPMENT: ReadonlySet<string> = new Set(['development', 'dev']);
const NOT_SAAS: ReadonlySet<string> = new Set(['self-hosted', 'selfhosted', 'standalone']);

export interface ModeEnvironment {
  readonly MOLECULE_ENV?: string | undefined;
  readonly MOLECULE_DEPLOY_MODE?: string | undefined;
  readonly MOLECULE_ORG_ID?: string | undefined;
}

const warned = new Set<string>();

/** `warn` is told once per process of a deploy mode that nobody knows; it counts as not SaaS. */
export function modeFromEnv(
  env: ModeEnvironment,
  warn: (message: string, deployMode: string) => void = () => undefined,
): GuardMode {
  const saas = isSaas(env, warn);
  if (DEVELOPMENT.has(normal(env.MOLECULE_ENV))) return 'dev';
  return saas ? 'saas' : 'strict';
}

function isSaas(
  { MOLECULE_DEPLOY_MODE, MOLECULE_ORG_ID }: ModeEnvironment,
  warn: (message: string, mode: string) => void,
): boolean {
  const deployMode = normal(MOLECULE_DEPLOY_MODE);
  if (deployMode === 'saas') return true;
  if (deployMode === '') return (MOLECULE_ORG_ID ?? '').trim() !== '';
  if (!NOT_SAAS.has(deployMode) && !warned.has(deployMode)) {
    warned.add(deployMode);
    warn('MOLECULE_DEPLOY_MODE is not known, and counts as self-hosted', deployMode);
  }
  return false;
}

const normal = (text: string | undefined): string => (text ?? '').trim().toLowerCase();
