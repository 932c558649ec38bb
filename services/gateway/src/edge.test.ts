/** E5: the path that is judged is the one that the owner of the route will read. */
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pathOf } from './edge.ts';
import { ownerOf } from './owners.ts';

const read = (url: string) => {
  const request = { url } as IncomingMessage;
  return { path: pathOf(request), url: request.url };
};

describe('the path of a request', () => {
  it.each([
    ['/workspaces', '/workspaces', '/workspaces'],
    ['/workspaces?a=/../b', '/workspaces', '/workspaces?a=/../b'],
    ['/org/tokens/../tokens', '/org/tokens', '/org/tokens'],
    ['/org/tokens/%2e%2E/tokens?x', '/org/tokens', '/org/tokens?x'],
    ['/org/tokens/.', '/org/tokens/', '/org/tokens/'],
    ['/org/tokens/x/..\\..\\tokens', '/org/tokens', '/org/tokens'],
    ['/org/tokens#x?y', '/org/tokens', '/org/tokens?y'],
    ['/cp/../workspaces', '/workspaces', '/workspaces'],
    ['//other/../workspaces', '//workspaces', '//workspaces'],
    ['/../../workspaces', '/workspaces', '/workspaces'],
    ['/.well-known/agent.json', '/.well-known/agent.json', '/.well-known/agent.json'],
    ['/workspaces/..%2F..%2Fetc', '/workspaces/..%2F..%2Fetc', '/workspaces/..%2F..%2Fetc'],
    ['/workspaces/%2e%2e%2fetc', '/workspaces/%2e%2e%2fetc', '/workspaces/%2e%2e%2fetc'],
    ['http://elsewhere/health/../workspaces?a', '/workspaces', '/workspaces?a'],
    ['*', '*', '*'],
  ])('%s is %s', (url, path, sentOn) => expect(read(url)).toEqual({ path, url: sentOn }));

  it('is what a URL makes of it, wherever somebody owns it', () =>
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('/', '\\', '.', '%2e', '%2E', 'org', 'tokens', 'events', 'x', '#', '%', '?'), {
          maxLength: 12,
        }),
        (parts) => {
          const { path, url = '' } = read(`/events/${parts.join('')}`);
          if (ownerOf(path) === undefined) return;
          expect(new URL(`http://host${url}`).pathname).toBe(path);
        },
      ),
    ));
});
