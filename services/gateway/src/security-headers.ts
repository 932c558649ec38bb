/** The security headers of spec 1 §4.14. They are set before a handler runs, so a handler may override them. */
import type { ServerResponse } from 'node:http';

const COMMON = [
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
  ['Referrer-Policy', 'strict-origin-when-cross-origin'],
  ['Permissions-Policy', 'camera=(), microphone=(), geolocation=()'],
] as const;

const API_POLICY = "default-src 'self'";
const PAGE_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data: blob:; connect-src 'self' ws: wss:; font-src 'self' data:";

const API_ROOTS: ReadonlySet<string> = new Set([
  'workspaces',
  'registry',
  'health',
  'admin',
  'metrics',
  'settings',
  'bundles',
  'org',
  'orgs',
  'templates',
  'plugins',
  'webhooks',
  'channels',
  'ws',
  'events',
  'approvals',
]);

/** The content security policy of a path: strict for the API, wider for pages. */
export function contentSecurityPolicy(path: string): string {
  const slash = path.indexOf('/', 1);
  return API_ROOTS.has(path.slice(1, slash === -1 ? path.length : slash)) ? API_POLICY : PAGE_POLICY;
}

export function setSecurityHeaders(response: ServerResponse, path: string): void {
  for (const [name, value] of COMMON) response.setHeader(name, value);
  response.setHeader('Content-Security-Policy', contentSecurityPolicy(path));
}

/** The same headers for answers of the API that are written in one go: name, value, name, value … */
export const API_SECURITY_HEADERS: readonly string[] = [...COMMON.flat(), 'Content-Security-Policy', API_POLICY];
