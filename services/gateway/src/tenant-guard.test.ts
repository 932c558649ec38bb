/** Whose requests a tenant's platform takes (spec 1 §4.10), and which page is of its own origin (§4.6). */
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from 'vitest';
import { isSameOrigin } from './same-origin.ts';
import { TenantGuard } from './tenant-guard.ts';

describe('a request of another tenant', () => {
  const passes = (path: string, headers: Record<string, string>, canvasProxied = false) =>
    new TenantGuard({ orgId: 'acme', canvasProxied }).passes({ headers }, path);

  it.each<[string, Record<string, string>, boolean]>([
    ['/health', {}, true],
    ['/metrics', {}, true],
    ['/registry/register', {}, true],
    ['/registry/heartbeat', {}, true],
    ['/cp/auth/me', {}, true],
    ['/cp/', {}, true],
    ['/cp', {}, false],
    ['/health/', {}, false],
    ['/registry/register/x', {}, false],
    ['/workspaces', {}, false],
    ['/workspaces', { 'x-molecule-org-id': 'acme' }, true],
    ['/workspaces', { 'x-molecule-org-id': 'Acme' }, false],
    ['/workspaces', { 'x-molecule-org-id': 'acme2' }, false],
    ['/workspaces', { 'x-molecule-org-id': '' }, false],
    ['/workspaces', { 'fly-replay-src': 'instance=i;region=r;t=1;state=acme' }, true],
    ['/workspaces', { 'fly-replay-src': 'state=acme' }, true],
    ['/workspaces', { 'fly-replay-src': 'state=acme2;region=r' }, false],
    ['/workspaces', { 'fly-replay-src': 'laststate=acme' }, false],
    ['/workspaces', { host: 'h', origin: 'http://h' }, false],
  ])('%s with %j passes: %s', (path, headers, expected) => expect(passes(path, headers)).toBe(expected));

  it('passes when a page of the canvas sends it', () => {
    expect(passes('/workspaces', { host: 'h', referer: 'https://h/x' }, true)).toBe(true);
    expect(passes('/workspaces', { host: 'h', referer: 'https://h.evil.com/x' }, true)).toBe(false);
  });
});

describe('a page of this very host', () => {
  it.each<[IncomingHttpHeaders, boolean]>([
    [{ host: 'h:8080', referer: 'http://h:8080' }, true],
    [{ host: 'h:8080', referer: 'https://h:8080' }, true],
    [{ host: 'h:8080', referer: 'http://h:8080/' }, true],
    [{ host: 'h:8080', referer: 'http://h:8080/canvas?x=1' }, true],
    [{ host: 'h:8080', origin: 'http://h:8080' }, true],
    [{ host: 'h:8080', origin: 'https://h:8080' }, true],
    [{ host: 'h:8080', origin: 'http://h:8080/' }, false],
    [{ host: 'h', referer: 'http://h.evil.com/' }, false],
    [{ host: 'h', referer: 'http://h.evil.com' }, false],
    [{ host: 'h', origin: 'http://h.evil.com' }, false],
    [{ host: 'h', referer: 'http://evil.com/http://h/' }, false],
    [{ host: 'h', referer: 'ftp://h/' }, false],
    [{ host: 'h', origin: 'null' }, false],
    [{ host: 'h' }, false],
    [{ host: '', origin: 'http://', referer: 'http:///' }, false],
    [{ origin: 'http://undefined' }, false],
  ])('%j: %s', (headers, expected) => expect(isSameOrigin({ headers })).toBe(expected));
});
