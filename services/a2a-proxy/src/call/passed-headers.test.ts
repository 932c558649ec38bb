import type { IncomingHttpHeaders } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passedHeaders } from './passed-headers.ts';

describe('the headers that reach an agent', () => {
  it.each<[string, IncomingHttpHeaders, string[]]>([
    ['nothing of nothing', {}, []],
    ['the version', { 'a2a-version': '0.3' }, ['a2a-version', '0.3']],
    [
      'extensions by both names',
      { 'x-a2a-extensions': 'https://a.example/x, https://b.example/y', 'a2a-extensions': 'https://c.example/z' },
      ['a2a-extensions', 'https://c.example/z', 'x-a2a-extensions', 'https://a.example/x, https://b.example/y'],
    ],
    [
      'nothing of who asks, and of what is traced',
      {
        authorization: 'Bearer secret',
        cookie: 'session=1',
        traceparent: '00-1-2-01',
        'x-workspace-id': 'w',
        'x-molecule-context': 'c',
        'x-a2a-other': 'o',
        accept: 'text/event-stream',
        'a2a-version': '1.0',
      },
      ['a2a-version', '1.0'],
    ],
    ['H1: an empty value is none', { 'a2a-version': '' }, []],
    ['H1: as long as may be', { 'a2a-version': 'v'.repeat(64) }, ['a2a-version', 'v'.repeat(64)]],
    ['H1: too long', { 'a2a-version': 'v'.repeat(65), 'a2a-extensions': 'e'.repeat(4_097) }, []],
    ['H1: a line of its own', { 'a2a-extensions': 'a\r\nauthorization: x', 'x-a2a-extensions': 'b\nc' }, []],
    [
      'H1: a control character, a NUL, and what is no ASCII',
      { 'a2a-version': '\u0000', 'a2a-extensions': '\u007f', 'x-a2a-extensions': 'é' },
      [],
    ],
  ])('are %s', (_, headers, passed) => {
    expect(passedHeaders(headers)).toEqual(passed);
  });

  it('H1: can always be sent, whatever came', () => {
    const name = fc.constantFrom('a2a-version', 'a2a-extensions', 'x-a2a-extensions', 'cookie', 'constructor');
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.array(fc.string()));
    fc.assert(
      fc.property(fc.dictionary(name, value), (headers) => {
        const passed = passedHeaders(headers as IncomingHttpHeaders);
        for (let at = 0; at < passed.length; at += 2) new Headers([[passed[at] as string, passed[at + 1] as string]]);
        expect(passed).toHaveLength(2 * new Set(passed.filter((_, at) => at % 2 === 0)).size);
        for (const given of passed) expect(given).toMatch(/^[\x20-\x7e]+$/);
      }),
    );
  });
});
