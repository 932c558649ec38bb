/** The table of owners: what goes where, what goes nowhere, and that the look-up tree decides as a scan from the top would. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OWNERS, type OwnerRow, ownerOf, ownersOf } from './owners.ts';

const id = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';

describe('the owner of a path', () => {
  it.each([
    ['/health', 'gateway'],
    ['/registry/heartbeat', 'gateway'],
    ['/registry/register', 'registry'],
    [`/registry/discover/${id}`, 'registry'],
    [`/registry/${id}/peers`, 'registry'],
    ['/workspaces', 'registry'],
    [`/workspaces/${id}`, 'registry'],
    [`/workspaces/${id}/pause`, 'registry'],
    [`/workspaces/${id}/tokens/7`, 'registry'],
    ['/events', 'registry'],
    [`/events/${id}`, 'registry'],
    [`/workspaces/${id}/a2a`, 'a2a-proxy'],
    [`/workspaces/${id}/activity`, 'a2a-proxy'],
    ['/admin/audit', 'a2a-proxy'],
    [`/workspaces/${id}/schedules`, 'scheduler'],
    [`/workspaces/${id}/schedules/s/run`, 'scheduler'],
    [`/workspaces/${id}/files/a/b/c.txt`, 'provisioner'],
    ['/admin/sweeps', 'sweeper'],
  ])('%s → %s', (path, owner) => expect(ownerOf(path)?.owner).toBe(owner));

  it.each([
    '/',
    '',
    '/nothing',
    '/admin',
    '/admin/',
    '/workspaces/',
    `/workspaces/${id}/nothing`,
    '/workspaces//a2a',
    '/Health',
    `/workspaces/${id}/a2a/more`,
  ])('%s is nobody’s', (path) => expect(ownerOf(path)).toBeUndefined());

  it('an encoded slash stays inside its segment', () => {
    expect(ownerOf(`/workspaces/${id}%2fa2a`)?.label).toBe('/workspaces/:id');
    expect(ownerOf('/workspaces/..%2f..%2fetc')?.label).toBe('/workspaces/:id');
    expect(ownerOf('/%61dmin/audit')).toBeUndefined();
  });

  it('O1: is the first row that matches, for every path there could be', () => {
    const words = [...new Set(OWNERS.flatMap(([pattern]) => pattern.split('/').slice(1)))].filter((word) => !/^[:*]/.test(word));
    const path = fc.array(fc.oneof(fc.constantFrom(...words), fc.constantFrom(id, 'x', '')), { maxLength: 5 });
    fc.assert(
      fc.property(path, (segments) => {
        const text = `/${segments.join('/')}`;
        expect(ownerOf(text)?.row).toEqual(OWNERS.find((row) => scan(row, text)));
      }),
      { numRuns: 5000 },
    );
  });

  it('has a label without ids, for metrics', () => {
    expect(ownerOf('/events')?.label).toBe('/events');
    expect(ownerOf(`/events/${id}`)?.label).toBe('/events/*');
    expect(ownerOf(`/workspaces/${id}/a2a`)?.label).toBe('/workspaces/:id/a2a');
  });

  it('no row is twice in the table', () => expect(new Set(OWNERS.map(([pattern]) => pattern)).size).toBe(OWNERS.length));
});

describe('comparing what services declare with the table', () => {
  it('finds nothing to say when each route goes to who declares it', () =>
    expect(
      ownersOf([
        { service: 'registry', method: 'GET', path: '/workspaces/:id' },
        { service: 'scheduler', method: 'DELETE', path: '/workspaces/:id/schedules/:scheduleId' },
        { service: 'provisioner', method: 'GET', path: '/workspaces/:id/files/:path{.+}' },
      ]),
    ).toEqual([]));

  it('names a route without a row, one that goes elsewhere, and one that two declare', () =>
    expect(
      ownersOf([
        { service: 'registry', method: 'GET', path: '/planets' },
        { service: 'sweeper', method: 'GET', path: '/events' },
        { service: 'registry', method: 'GET', path: '/events' },
      ]),
    ).toEqual([
      'GET /planets of registry has no owner: add a row to OWNERS',
      'GET /events of sweeper goes to registry by the row /events/*',
      'GET /events is answered by sweeper and by registry',
    ]));
});

/** The same question, answered by reading one row. */
function scan([pattern]: OwnerRow, path: string): boolean {
  const below = pattern.endsWith('/*');
  const wanted = (below ? pattern.slice(0, -2) : pattern).split('/');
  const given = path.split('/');
  if (below ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => (segment.startsWith(':') ? given[at] !== '' : given[at] === segment));
}
