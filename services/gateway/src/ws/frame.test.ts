/** Frames are read back by the library that clients use too. */
import type { Buffer } from 'node:buffer';
import type { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import * as ws from 'ws';
import { textFrame } from './frame.ts';

it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])('a text of %i bytes comes out as it went in', async (length) => {
  const text = 'x'.repeat(length);
  expect(await read(textFrame(text))).toBe(text);
});

it('counts bytes, not characters', async () => {
  const text = '→ 𝔪olecule '.repeat(20);
  expect(await read(textFrame(text))).toBe(text);
});

const read = (frame: Buffer) =>
  new Promise<string>((resolve, reject) => {
    const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };
    const receiver = new Receiver({ isServer: false });
    receiver.on('message', (data: Buffer, isBinary: boolean) =>
      isBinary ? reject(new Error('binary')) : resolve(data.toString()),
    );
    receiver.on('error', reject);
    receiver.end(frame);
  });
