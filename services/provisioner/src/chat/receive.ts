/**
 * Takes in the files of an upload: from the client to the spool, a piece at a time.
 *
 *   R1. A body is judged whole before any of its files is: nothing reaches a workspace before its last byte came (spec 2 §5.1).
 *   R2. What is refused is read past, within bounds: a client that only listens when it has said everything hears why.
 *   R3. Of a file that is too large no more is kept than shows it.
 */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Refusal } from '@molecule/contracts';
import type { Spool, SpooledFile } from '../spool.ts';
import { BrokenMultipart, boundaryOf, type PartHead, readMultipart } from './multipart.ts';

export interface ReceivedFile {
  /** As it was sent. */
  readonly original: string;
  readonly contentType: string | undefined;
  readonly size: number;
  /** By its own account or by its bytes; then `open` does not give all of them. */
  readonly tooLarge: boolean;
  /** Not as its bytes, but encoded for mail: nobody does that over HTTP. */
  readonly encoded: boolean;
  open(): Promise<Readable>;
}

export interface Received {
  readonly files: readonly ReceivedFile[];
  /** Forgets them. */
  close(): Promise<void>;
}

export interface UploadLimits {
  readonly bodyBytes: number;
  readonly fileBytes: number;
  /** How long the client may be silent. */
  readonly silenceMs: number;
}

const FIELD = 'files';
const NOT_ENCODED: readonly (string | undefined)[] = [undefined, '', '7bit', '8bit', 'binary'];

const unparsable = (cause?: unknown) => new Refusal('invalid', 'failed to parse multipart form', { cause });
export const notStaged = (cause: unknown) => new Refusal('failed', 'failed to stage files in workspace', { cause });

/** @throws Refusal when the body is no form, is broken, too large or too slow; or when there is no room for it. */
export async function receiveFiles(incoming: IncomingMessage, spool: Spool, limits: UploadLimits): Promise<Received> {
  const declared = Number(incoming.headers['content-length'] ?? 0);
  const boundary = boundaryOf(incoming.headers['content-type']);
  const spooled = await spool.file().catch((error: unknown) => {
    throw notStaged(error);
  });
  try {
    if (boundary === undefined) throw new BrokenMultipart('no boundary is given');
    if (declared > limits.bodyBytes) throw new BrokenMultipart('it is too large');
    const files = await spoolFiles(counted(piecesOf(incoming, limits.silenceMs), limits.bodyBytes), boundary, spooled, limits);
    return { files, close: () => spooled.close() };
  } catch (error) {
    await spooled.close();
    if (!(error instanceof Silence)) await readPast(incoming, limits); // R2
    throw error instanceof Refusal ? error : unparsable(error);
  }
}

async function spoolFiles(
  body: AsyncIterable<Buffer>,
  boundary: string,
  spooled: SpooledFile,
  { fileBytes }: UploadLimits,
): Promise<ReceivedFile[]> {
  const files: ReceivedFile[] = [];
  let current: Spooling | undefined;
  for await (const piece of readMultipart(body, boundary)) {
    if ('bytes' in piece) await current?.add(piece.bytes);
    else {
      if (current !== undefined) files.push(current.received());
      current = isFile(piece.head) ? new Spooling(piece.head, spooled, fileBytes) : undefined;
    }
  }
  if (current !== undefined) files.push(current.received());
  return files;
}

/** A field of that name without a file, or a control that no file was chosen with, is none. */
const isFile = ({ name, filename }: PartHead): boolean => name === FIELD && filename !== undefined && filename !== '';

/** One file on its way into the spool, where it lies between others. */
class Spooling {
  readonly #head: PartHead;
  readonly #spooled: SpooledFile;
  readonly #from: number;
  readonly #limit: number;
  #size = 0;

  constructor(head: PartHead, spooled: SpooledFile, limit: number) {
    this.#head = head;
    this.#spooled = spooled;
    this.#from = spooled.size;
    this.#limit = limit;
  }

  async add(bytes: Buffer): Promise<void> {
    this.#size += bytes.length;
    if (this.#isTooLarge) return; // R3
    await this.#spooled.write(bytes).catch((error: unknown) => {
      throw notStaged(error);
    });
  }

  received(): ReceivedFile {
    const { filename = '', contentType, transferEncoding } = this.#head;
    const [spooled, from, to] = [this.#spooled, this.#from, this.#spooled.size];
    return {
      original: filename,
      contentType,
      size: this.#size,
      tooLarge: this.#isTooLarge,
      encoded: !NOT_ENCODED.includes(transferEncoding),
      open: async () => spooled.content(from, to),
    };
  }

  get #isTooLarge(): boolean {
    return Math.max(this.#size, this.#head.contentLength ?? 0) > this.#limit;
  }
}

class Silence extends Error {}

/** The body as it comes in. Stopping early leaves the connection as it is. @throws when the client goes away; Silence */
async function* piecesOf(incoming: IncomingMessage, silenceMs: number): AsyncGenerator<Buffer> {
  const pieces = incoming.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const { promise: silence, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => reject(new Silence(`nothing came for ${silenceMs} ms`)), silenceMs);
      const { done, value } = await Promise.race([pieces.next(), silence]).finally(() => clearTimeout(timer));
      if (done) return;
      yield value as Buffer;
    }
  } finally {
    void pieces.return?.(); // not waited for: it may be waiting itself, for what never comes
  }
}

async function* counted(body: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxBytes) throw new BrokenMultipart('it is too large');
    yield piece;
  }
}

/** Twice as much as may be sent, and as long as something comes. */
async function readPast(incoming: IncomingMessage, { bodyBytes, silenceMs }: UploadLimits): Promise<void> {
  try {
    for await (const _ of counted(piecesOf(incoming, silenceMs), 2 * bodyBytes));
  } catch {
    // Who sends more, or nothing, is not listened to any longer.
  }
}
