/**
 * Room on the disk for files on their way between a client and an engine, which are never as fast as each other.
 *
 *   S1. A file has no name from the moment it is made: when its user closes it, or the process is killed, it is gone.
 *   S2. How many there are at a time, and how large, is bounded by who uses it.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

const PIECE_BYTES = 64 * 1024;

export class Spool {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** What is there has a name still: its process was killed before it could take it away. */
  static async open(directory: string): Promise<Spool> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
    return new Spool(directory);
  }

  async file(): Promise<SpooledFile> {
    const path = join(this.#directory, randomUUID());
    const handle = await open(path, 'wx+', 0o600);
    await rm(path, { force: true }); // S1
    return new SpooledFile(handle);
  }
}

/** Written to its end first, then read as often as one likes. Whoever asked for it closes it. */
export class SpooledFile {
  readonly #handle: FileHandle;
  #size = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  get size(): number {
    return this.#size;
  }

  /** One after the other. */
  async write(piece: Buffer): Promise<void> {
    await this.#handle.writeFile(piece);
    this.#size += piece.length;
  }

  /** All of it, or a part. What is read from is not closed before. */
  content(from = 0, to = this.#size): Readable {
    return Readable.from(this.#pieces(from, to), { objectMode: false, highWaterMark: PIECE_BYTES });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#pieces(from: number, to: number): AsyncGenerator<Buffer> {
    for (let position = from; position < to; ) {
      const wanted = Math.min(PIECE_BYTES, to - position);
      const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
      if (bytesRead === 0) throw new Error('a spooled file ended too early');
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
}
