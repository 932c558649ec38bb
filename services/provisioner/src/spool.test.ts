import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool } from './spool.ts';

describe('a spool', () => {
  let home: string;
  let directory: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'spool-'));
    directory = join(home, 'spool');
  });
  afterEach(() => rm(home, { recursive: true }));

  it('gives back what was written, as often as it is asked, in pieces', async () => {
    const file = await (await Spool.open(directory)).file();
    const bytes = Buffer.alloc(300_000, 'molecule');
    for (let at = 0; at < bytes.length; at += 70_000) await file.write(bytes.subarray(at, at + 70_000));
    expect(file.size).toBe(300_000);
    expect((await buffer(file.content())).equals(bytes)).toBe(true);
    expect((await buffer(file.content(5, 13))).equals(bytes.subarray(5, 13))).toBe(true);
    const pieces = await file.content().toArray();
    expect(Math.max(...pieces.map((piece: Buffer) => piece.length))).toBe(64 * 1024);
    await file.close();
  });

  it('holds empty files', async () => {
    const file = await (await Spool.open(directory)).file();
    expect(await file.content().toArray()).toEqual([]);
    await file.close();
  });

  it('S1: has no names, whatever is written', async () => {
    const file = await (await Spool.open(directory)).file();
    await file.write(Buffer.from('secret'));
    expect(await readdir(directory)).toEqual([]);
    await file.close();
  });

  it('S1: takes away what a killed process left', async () => {
    await Spool.open(directory);
    await writeFile(join(directory, 'left'), '');
    await Spool.open(directory);
    expect(await readdir(directory)).toEqual([]);
  });
});
