/** Which paths of a control plane are open, however they are written (spec 1 §4.10). */
import { expect, it } from 'vitest';
import { controlPlanePath } from './proxy.ts';

it.each([
  ['/cp/auth/me', '/cp/auth/me'],
  ['/cp/auth/', '/cp/auth/'],
  ['/cp/orgs', '/cp/orgs'],
  ['/cp/orgs/acme/x', '/cp/orgs/acme/x'],
  ['/cp/billing/plan', '/cp/billing/plan'],
  ['/cp/templates', '/cp/templates'],
  ['/cp/templates/a%20b', '/cp/templates/a%20b'],
  ['/cp/legal/terms', '/cp/legal/terms'],
  ['/cp/x/../auth/me', '/cp/auth/me'],
  ['/cp/auth', null],
  ['/cp/authx/y', null],
  ['/cp/orgsx', null],
  ['/cp/billing', null],
  ['/cp/tenants/config', null],
  ['/cp/', null],
  ['/cp/auth/../tenants/config', null],
  ['/cp/auth/%2e%2e/tenants/config', null],
  ['/cp/auth/..%2ftenants%2fconfig', null],
  ['/cp/auth/..%5ctenants%5cconfig', null],
  ['/cp/auth/..\\tenants\\config', null],
  ['/cp/auth/%2e%2e%2f%2e%2e%2fadmin', null],
  ['/cp/auth/%252e%252e/admin', null],
  ['/cp/auth/..%252Fadmin', null],
  ['/cp/auth/%25252e%25252e/admin', null],
  ['/cp/templates/100%25ab', '/cp/templates/100%25ab'],
  ['/cp/auth/%zz', null],
  ['/cp//auth/me', null],
])('%s → %s', (path, open) => expect(controlPlanePath(path)).toBe(open));
