import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { describe, expect, it } from 'vitest';
import { fileIn } from '../backend.contract.ts';
import { putFiles } from './container-files.ts';

/** An engine that knows these paths, refuses every archive, and remembers what it was told to run. */
const refusing = (kinds: Readonly<Record<string, 'file' | 'directory'>>) => {
  const commands: string[][] = [];
  const container = {
    infoArchive: async ({ path }: { path: string }) => {
      if (kinds[path] === undefined) throw Object.assign(new Error('not found'), { statusCode: 404 });
      const stat = { mode: kinds[path] === 'directory' ? 0x80000000 + 0o755 : 0o644 };
      const headers = { 'x-docker-container-path-stat': Buffer.from(JSON.stringify(stat)).toString('base64') };
      return Object.assign(Readable.from([]), { headers });
    },
    getArchive: async () => {
      throw Object.assign(new Error('not found'), { statusCode: 404 });
    },
    putArchive: async () => {
      throw new Error('no space left on device');
    },
    exec: async ({ Cmd }: { Cmd: string[] }) => {
      commands.push(Cmd);
      return { start: async () => Readable.from([]) };
    },
  };
  return { container: container as unknown as Docker.Container, commands };
};

describe('files that the engine could not write', () => {
  const { signal } = new AbortController();
  const there = { '/workspace': 'directory', '/workspace/old.txt': 'file' } as const;

  it('A3: are removed, but for what was there before', async () => {
    const { container, commands } = refusing(there);
    const files = [fileIn('/workspace/old.txt', 'x'), fileIn('/workspace/-rf', 'x'), fileIn('/workspace/new.txt', 'x')];
    await expect(putFiles(container, files, signal)).rejects.toThrow();
    expect(commands).toEqual([['rm', '-f', '--', '/workspace/-rf', '/workspace/new.txt']]);
  });

  it('A3: need no removal when all of them were there before', async () => {
    const { container, commands } = refusing(there);
    await expect(putFiles(container, [fileIn('/workspace/old.txt', 'x')], signal)).rejects.toThrow();
    expect(commands).toEqual([]);
  });
});
