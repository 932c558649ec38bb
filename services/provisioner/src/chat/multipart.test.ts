import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokenMultipart, boundaryOf, type PartHead, parseHeader, readMultipart } from './multipart.ts';

interface Part extends PartHead {
  readonly content: Buffer;
}

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(text: string | Buffer, { boundary = 'b', sizes = [1_000_000] } = {}): Promise<Part[]> {
  const parts: { head: PartHead; content: Buffer[] }[] = [];
  for await (const piece of readMultipart(inPieces(Buffer.from(text), sizes), boundary)) {
    if ('head' in piece) parts.push({ head: piece.head, content: [] });
    else parts.at(-1)?.content.push(piece.bytes);
  }
  return parts.map(({ head, content }) => ({ ...head, content: Buffer.concat(content) }));
}

const part = (head: string, content = 'x') => `--b\r\n${head}\r\n\r\n${content}\r\n`;
const disposition = (parameters: string) => `Content-Disposition: form-data; ${parameters}`;

describe('a multipart body', () => {
  it('is its parts, as they were sent', async () => {
    const head = `${disposition('name="files"; filename="a.txt"')}\r\ncontent-type: Text/Plain; charset=x\r\nContent-Length: 3`;
    expect(await read(`ignored\r\n${part(head, 'a\r\n')}${part(disposition('name=other'), '')}--b--\r\nignored`)).toEqual([
      {
        name: 'files',
        filename: 'a.txt',
        contentType: 'Text/Plain; charset=x',
        contentLength: 3,
        transferEncoding: undefined,
        content: Buffer.from('a\r\n'),
      },
      expect.objectContaining({ name: 'other', filename: undefined, contentType: undefined, content: Buffer.alloc(0) }),
    ]);
  });

  it('is the same, however it was cut on its way, and whatever looks like a delimiter in it', async () => {
    const nasty = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.constantFrom('\r\n', '--', '--bo', '\r\n--b', '\r\n--bo', '-', '\r', ' ', 'x'))
        .map((all) => Buffer.from(all.join(''))),
    );
    // What is a delimiter with that boundary is none of the content.
    const content = nasty.filter((bytes) => !/(?:^|\r\n)--bo(?:--|[ \t]*(?:\r|$)|-$)/.test(bytes.toString('latin1')));
    await fc.assert(
      fc.asyncProperty(
        fc.array(content, { maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
        async (contents, sizes) => {
          const bodies = contents.map((bytes) => [
            Buffer.from(`--bo\r\n${disposition('name=files')}\r\n\r\n`),
            bytes,
            Buffer.from('\r\n'),
          ]);
          const body = Buffer.concat([...bodies.flat(), Buffer.from('--bo--')]);
          const parts = await read(body, { boundary: 'bo', sizes });
          expect(parts.map((one) => one.content.toString('hex'))).toEqual(contents.map((bytes) => bytes.toString('hex')));
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['nothing', ''],
    ['no delimiter', 'hello'],
    ['no closing delimiter', part(disposition('name=files')).slice(0, -2)],
    ['a head that does not end', `--b\r\n${disposition('name=files')}`],
    ['a delimiter that does not end', `${part(disposition('name=files'))}--b`],
    ['a line that is no header', `${part('no header')}--b--`],
    ['a head that is too large', `${part(`X: ${'x'.repeat(17_000)}`)}--b--`],
    ['a head that never ends', `--b\r\nX: ${'x'.repeat(1_000_000)}`],
    ['10,000 parts', `${part(disposition('name=a')).repeat(10_000)}--b--`],
  ])('with %s is broken', async (_, text) => {
    await expect(read(text, { sizes: [4_096] })).rejects.toThrow(BrokenMultipart);
  });

  it('M1: hands on what it got before the rest is there', async () => {
    let asked = 0;
    const endless = async function* () {
      yield Buffer.from(`--b\r\n${disposition('name=files')}\r\n\r\n`);
      for (;;) {
        asked++;
        yield Buffer.alloc(65_536);
      }
    };
    let size = 0;
    for await (const piece of readMultipart(endless(), 'b')) {
      if ('bytes' in piece) size += piece.bytes.length;
      if (size > 1_000_000) break;
    }
    expect(asked).toBeLessThan(20);
  });

  it('lets go of the body when it is not read on', async () => {
    let closed = false;
    const body = async function* () {
      try {
        yield Buffer.from(part(disposition('name=a')));
        yield Buffer.from('never asked for');
      } finally {
        closed = true;
      }
    };
    for await (const _ of readMultipart(body(), 'b')) break;
    expect(closed).toBe(true);
  });

  it('holds another within a part', async () => {
    const inner = '--c\r\nContent-Disposition: attachment; filename=i\r\n\r\nx\r\n--c--';
    const head = `${disposition('name=files; filename=o')}\r\nContent-Type: multipart/mixed; boundary=c`;
    expect(await read(`${part(head, inner)}--b--`)).toMatchObject([{ name: 'files', content: Buffer.from(inner) }]);
  });
});

describe('the name of a file in a head', () => {
  it.each([
    ['filename="a b.txt"', 'a b.txt'],
    ['filename=a.txt', 'a.txt'],
    ['filename="naïve 日本.txt"', 'naïve 日本.txt'],
    ['filename="say \\"hi\\".txt"', 'say "hi".txt'],
    ['filename="C:\\temp\\a.txt"', 'C:\\temp\\a.txt'],
    ['filename="a;b=c.txt"', 'a;b=c.txt'],
    ["filename*=UTF-8''na%C3%AFve.txt", 'naïve.txt'],
    ['filename="naive.txt"; filename*=utf-8\'en\'na%C3%AFve.txt', 'naïve.txt'],
    ['filename="naive.txt"; filename*=utf-8\'\'%ff', 'naive.txt'],
    ["filename*=iso-8859-1''%e9", undefined],
    ['filename=""', ''],
    ['', undefined],
  ])('%s is %j', async (parameter, filename) => {
    expect(await read(`${part(disposition(`name="files"; ${parameter}`))}--b--`)).toMatchObject([{ name: 'files', filename }]);
  });

  it.each([
    'form-data; name="files"; filename=a; filename=b',
    'form-data; name="files',
    'form-data name="files"',
    'attachment; name="files"; filename=a',
    '',
  ])('counts for nothing in %j (M3)', async (value) => {
    expect(await read(`${part(`Content-Disposition: ${value}`)}--b--`)).toMatchObject([{ name: '', filename: undefined }]);
  });
});

it.each([
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data; charset=utf-8; Boundary="a b"', 'a b'],
  ['multipart/form-data', undefined],
  ['multipart/form-data; boundary=', undefined],
  [`multipart/form-data; boundary=${'x'.repeat(300)}`, undefined],
  ['multipart/mixed; boundary=abc', undefined],
  ['application/json', undefined],
  [undefined, undefined],
])('the boundary of %s is %s', (type, boundary) => expect(boundaryOf(type)).toBe(boundary));

it('reads headers of any text, and never hangs on one', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseHeader(`form-data; name="${text}`);
    }),
  );
  expect(parseHeader(`form-data; name="${'\\"'.repeat(8_000)}`)).toBeUndefined();
});
