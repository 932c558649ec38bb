import { expect, it } from 'vitest';
import { modeFromEnv } from './mode.ts';

it.each([
  [{}, 'strict'],
  [{ MOLECULE_ENV: 'production' }, 'strict'],
  [{ MOLECULE_ENV: ' Development ' }, 'dev'],
  [{ MOLECULE_ENV: 'DEV', MOLECULE_DEPLOY_MODE: 'saas' }, 'dev'],
  [{ MOLECULE_DEPLOY_MODE: ' SaaS ' }, 'saas'],
  [{ MOLECULE_DEPLOY_MODE: 'self-hosted', MOLECULE_ORG_ID: 'org' }, 'strict'],
  [{ MOLECULE_DEPLOY_MODE: 'SELFHOSTED', MOLECULE_ORG_ID: 'org' }, 'strict'],
  [{ MOLECULE_DEPLOY_MODE: 'standalone', MOLECULE_ORG_ID: 'org' }, 'strict'],
  [{ MOLECULE_DEPLOY_MODE: '  ', MOLECULE_ORG_ID: 'org' }, 'saas'],
  [{ MOLECULE_ORG_ID: 'org' }, 'saas'],
  [{ MOLECULE_ORG_ID: '   ' }, 'strict'],
])('%j means %s', (env, mode) => {
  expect(modeFromEnv(env)).toBe(mode);
});

it('warns once of a deploy mode nobody knows, and counts it as self-hosted', () => {
  const warnings: unknown[] = [];
  const env = { MOLECULE_DEPLOY_MODE: 'Cloudy', MOLECULE_ORG_ID: 'org' };
  expect(modeFromEnv(env, (...warning) => warnings.push(warning))).toBe('strict');
  expect(modeFromEnv(env, (...warning) => warnings.push(warning))).toBe('strict');
  expect(warnings).toEqual([[expect.any(String), 'cloudy']]);
});
