import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directoriesTo, parseAgentPath, ROOTS, textOf } from './agent-path.ts';

describe('the path of a file as the agent sees it (spec 2 §5.2)', () => {
  it.each([
    ['workspace/a', 'not-absolute'],
    ['', 'not-absolute'],
    ['/etc/passwd', 'outside'],
    ['//workspace/a', 'outside'],
    ['/workspaces/a', 'outside'],
    ['/', 'outside'],
    ['/workspace/', 'not-canonical'],
    ['/workspace//a', 'not-canonical'],
    ['/workspace/./a', 'not-canonical'],
    ['/workspace/a/..', 'not-canonical'],
    ['/workspace/../etc/passwd', 'not-canonical'],
    ['/workspace/a\0b', 'not-canonical'],
  ])('%j is %s', (text, fault) => expect(parseAgentPath(text)).toBe(fault));

  it.each(['/configs/config.yaml', '/workspace', '/home/agent/.bashrc', '/plugins/a/b', '/workspace/report..pdf'])(
    '%s is one',
    (text) => expect(parseAgentPath(text)).toMatchObject({ root: `/${text.split('/')[1]}` }),
  );

  it('is what it was parsed from, and never leads out of its root', () => {
    const segment = fc.oneof(fc.constantFrom('..', '.', '', 'a', '\0', '...'), fc.string());
    const paths = fc
      .tuple(fc.constantFrom(...ROOTS, '/etc', ''), fc.array(segment))
      .map(([root, rest]) => [root, ...rest].join('/'));
    fc.assert(
      fc.property(paths, (text) => {
        const path = parseAgentPath(text);
        if (typeof path === 'string') return;
        expect(textOf(path)).toBe(text);
        expect(new URL(`file://${encodeURI(text)}`).pathname.startsWith(path.root)).toBe(true);
      }),
    );
  });

  it('knows the directories on the way', () =>
    expect(directoriesTo({ root: '/workspace', names: ['.molecule', 'chat-uploads', 'a.pdf'] }).map(textOf)).toEqual([
      '/workspace',
      '/workspace/.molecule',
      '/workspace/.molecule/chat-uploads',
    ]));
});
