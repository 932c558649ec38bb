/** Files as a tar archive, the way the engine takes them. */
import { pack } from 'tar-stream';
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

const parents = (path: string): string[] => {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
};
