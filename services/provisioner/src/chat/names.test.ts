import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attachmentNamed, safeName, typeOf } from './names.ts';

describe('the name of a chat file', () => {
  it.each([
    ['my file.pdf', 'my_file.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['weird;$name`.txt', 'weird__name_.txt'],
    ['', 'file'],
    ['.', 'file'],
    ['..', 'file'],
    ['a/..', 'file'],
    ['/', 'file'],
    ['directory/', 'directory'],
    ['.bashrc', '.bashrc'],
    ['naïve — 日本.txt', 'na_ve_____.txt'],
    ['👩‍💻.png', '___.png'],
    ['C:\\temp\\a.txt', 'C__temp_a.txt'],
    ['a\0b\r\n.txt', 'a_b__.txt'],
    ['x'.repeat(100), 'x'.repeat(100)],
    [`${'x'.repeat(100)}.pdf`, `${'x'.repeat(96)}.pdf`],
    [`${'x'.repeat(100)}.${'e'.repeat(15)}`, `${'x'.repeat(84)}.${'e'.repeat(15)}`],
    [`${'x'.repeat(100)}.${'e'.repeat(16)}`, 'x'.repeat(100)],
  ])('of %j is %j', (original, name) => expect(safeName(original)).toBe(name));

  it('is always one component of a path, of 100 plain characters at most', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.string({ minLength: 90, maxLength: 300 }),
    );
    fc.assert(
      fc.property(names, (original) => {
        const name = safeName(original);
        expect(name).toMatch(/^[A-Za-z0-9._-]{1,100}$/);
        expect(['.', '..']).not.toContain(name);
        expect(safeName(name)).toBe(name);
      }),
      { numRuns: 300 },
    );
  });
});

it.each([
  ['a.pdf', 'application/pdf'],
  ['a.TXT', 'text/plain; charset=utf-8'],
  ['a.md', 'text/markdown; charset=utf-8'],
  ['a.b.png', 'image/png'],
  ['noextension', undefined],
  ['a.whatever', undefined],
])('the type of %s is %s', (name, type) => expect(typeOf(name)).toBe(type));

describe('an attachment', () => {
  const asBytes = (name: string) => Buffer.from(attachmentNamed(name), 'latin1').toString();

  it.each([
    ['a.txt', `attachment; filename="a.txt"; filename*=UTF-8''a.txt`],
    ['my "file" \\.txt', `attachment; filename="my \\"file\\" \\\\.txt"; filename*=UTF-8''my%20%22file%22%20%5C.txt`],
    ['naïve 日本.txt', `attachment; filename="naïve 日本.txt"; filename*=UTF-8''na%C3%AFve%20%E6%97%A5%E6%9C%AC.txt`],
    ["it's (1)*!.txt", `attachment; filename="it's (1)*!.txt"; filename*=UTF-8''it%27s%20%281%29%2A%21.txt`],
    ['a\r\nb\u0007\u007f.txt', `attachment; filename="ab.txt"; filename*=UTF-8''a%0D%0Ab%07%7F.txt`],
    ['a-b_c.d~e', `attachment; filename="a-b_c.d~e"; filename*=UTF-8''a-b_c.d~e`],
  ])('named %j', (name, header) => expect(asBytes(name)).toBe(header));

  it('is a header that node takes, and says the name, whatever it is', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const header = attachmentNamed(name);
        expect(header).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/);
        const [, encoded = ''] = /filename\*=UTF-8''(.*)$/.exec(header) ?? [];
        expect(encoded).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(encoded)).toBe(name.toWellFormed());
      }),
    ));
});
