/** Which policy a path has (spec 1 §4.14), root by root. */
import { expect, it } from 'vitest';
import { contentSecurityPolicy } from './security-headers.ts';

const STRICT = "default-src 'self'";
const WIDE =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; font-src 'self' data:";

const ROOTS =
  '/workspaces /registry /health /admin /metrics /settings /bundles /org /orgs /templates /plugins /webhooks /channels /ws /events /approvals';

it.each(ROOTS.split(' '))('%s and what is below it is strict', (root) => {
  for (const path of [root, `${root}/`, `${root}/x`, `${root}/x/y`]) expect(contentSecurityPolicy(path), path).toBe(STRICT);
  for (const path of [`${root}x`, `/x${root}`, `${root}%2Fx`]) expect(contentSecurityPolicy(path), path).toBe(WIDE);
});

it.each(['/', '', '/canvas/viewport', '/canvas', '/docs', '/index.html', '//workspaces', '/Workspaces'])('%j is wide', (path) =>
  expect(contentSecurityPolicy(path)).toBe(WIDE),
);
