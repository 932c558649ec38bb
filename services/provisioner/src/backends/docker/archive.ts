/** Files as a tar archive, the way the engine takes them. */
import { extract, pack } from 'tar-stream';
import type { ConfigFile } from '../backend.ts';

/** Directories come before what is in them, 0755; sizes are those of the data given. */
export async function archiveOf(files: readonly ConfigFile[]): Promise<Buffer> {
  const tar = pack();
  const chunks: Buffer[] = [];
  tar.on('data', (chunk) => chunks.push(chunk as Buffer));
  const ended = new Promise<void>((resolve, reject) => tar.on('end', resolve).on('error', reject));
  const made = new Set<string>();
  for (const { path, data, mode } of files) {
    for (const directory of parents(path)) {
      if (made.has(directory)) continue;
      made.add(directory);
      tar.entry({ name: directory, type: 'directory', mode: 0o755 });
    }
    tar.entry({ name: path, mode, size: data.length }, data);
  }
  tar.finalize();
  await ended;
  return Buffer.concat(chunks);
}

/** The first file of an archive that the engine gives, at most `maxBytes` of it; `undefined`: there is none in it. */
export async function fileOf(archive: NodeJS.ReadableStream, maxBytes: number): Promise<Buffer | undefined> {
  const entries = extract();
  archive.on('error', (error) => entries.destroy(error as Error));
  archive.pipe(entries);
  for await (const entry of entries) {
    if (entry.header.type !== 'file') {
      entry.resume();
      continue;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of entry) {
      if (size < maxBytes) chunks.push(chunk as Buffer);
      size += (chunk as Buffer).length;
    }
    return Buffer.concat(chunks).subarray(0, maxBytes);
  }
  return undefined;
}

const parents = (path: string): string[] => {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
};
