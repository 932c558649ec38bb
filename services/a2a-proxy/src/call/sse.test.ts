import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SseReader } from './sse.ts';

const read = (chunks: readonly (string | Buffer)[], maxLength = 1_000): (string | null)[] => {
  const events: (string | null)[] = [];
  const reader = new SseReader(maxLength, (data) => events.push(data));
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  reader.end();
  return events;
};

describe('server-sent events', () => {
  it.each<[string, string, string[]]>([
    ['one', 'data: a\n\n', ['a']],
    ['without the blank, which is no part of it', 'data:a\n\n', ['a']],
    ['with one blank more, which is', 'data:  a\n\n', [' a']],
    ['of several lines', 'data: a\ndata\ndata:\ndata: b\n\n', ['a\n\n\nb']],
    ['ended by CR, and by CR LF', 'data: a\r\rdata: b\r\n\r\ndata: c\n\n', ['a', 'b', 'c']],
    ['among what is no data', ': still here\n\nevent: x\nid: 1\nretry: 5\ndatum: y\ndata: a\n\n', ['a']],
    ['behind a byte order mark', '\ufeffdata: a\n\n', ['a']],
    ['without its last blank line, and without its last line end', 'data: a\n\ndata: b', ['a', 'b']],
    ['none', '\n\n\r\n: nothing\n\n', []],
  ])('are read: %s', (_, text, events) => {
    expect(read([text])).toEqual(events);
  });

  it('V1: that are too large are told as such, and the next is read', () => {
    const large = `data: ${'x'.repeat(30)}\n\n`;
    expect(read([`data: a\n\n${large}data: b\n\n`], 20)).toEqual(['a', null, 'b']);
    expect(read(['data: 12345\ndata: 12345\n\n', ...large, 'data: b\n\n'], 20)).toEqual([null, null, 'b']);
    expect(read([`${': comment\n'.repeat(50)}data: 12345\n\n`], 20)).toEqual(['12345']);
  });

  it('V2: are read byte by byte, also when a line has many', () => {
    const text = 'é'.repeat(3_000);
    expect(
      read(
        [...Buffer.from(`data: ${text}\n\n`)].map((byte) => Buffer.of(byte)),
        10_000,
      ),
    ).toEqual([text]);
  });

  it('V2: are the same however they are cut', () => {
    const line = fc.constantFrom('data: é€😀', 'data:x', 'data', 'id: 1', ': c', '');
    const lines = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 });
    fc.assert(
      fc.property(lines, fc.array(fc.nat(200), { maxLength: 20 }), (given, cuts) => {
        const bytes = Buffer.from(given.map((parts) => parts.join('')).join(''));
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(chunks)).toEqual(read([bytes]));
      }),
    );
  });
});
