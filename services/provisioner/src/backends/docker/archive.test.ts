import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { expect, it } from 'vitest';
import { archiveOf } from './archive.ts';

it('holds files with their modes, and directories before what is in them', async () => {
  const archive = await archiveOf([
    { path: 'a/b/one.md', data: Buffer.from('eins'), mode: 0o644 },
    { path: 'a/two.sh', data: Buffer.from('zwei ü'), mode: 0o755 },
    { path: '.auth_token', data: Buffer.from('t'), mode: 0o600 },
  ]);
  const tar = extract();
  tar.end(archive);
  const entries = [];
  for await (const entry of tar) {
    const { name, type, mode } = entry.header;
    entries.push([name, type, mode, (await buffer(entry)).toString()]);
  }
  expect(entries).toEqual([
    ['a', 'directory', 0o755, ''],
    ['a/b', 'directory', 0o755, ''],
    ['a/b/one.md', 'file', 0o644, 'eins'],
    ['a/two.sh', 'file', 0o755, 'zwei ü'],
    ['.auth_token', 'file', 0o600, 't'],
  ]);
});
