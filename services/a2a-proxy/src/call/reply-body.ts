/**
 * Replies while they are read: each is read whole before it is passed on, so what they take together is bounded (limits F12).
 *
 *   B1. A body takes its own size and a block, in however small parts it comes.
 *   B2. All bodies together take no more than the limit; when they would, the largest is broken off. Small ones are never. What is
 *       kept of a stream counts like a body; the stream itself goes on.
 */

/** Parts below this are copied together: a part of its own costs a hundred bytes, and keeps what it came in. */
const LARGE_PART = 16 * 1024;
const BLOCK = 16 * 1024;
/** What a reply may take without being counted. */
const SMALL_BODY = 64 * 1024;

const EMPTY = Buffer.alloc(0);

export class ReplyBody {
  #size = 0;
  #parts: Buffer[] = [];
  #block = EMPTY;
  #used = 0;

  get size(): number {
    return this.#size;
  }

  add(part: Buffer): void {
    this.#size += part.length;
    // Most replies come in one part.
    if (part.length >= LARGE_PART || this.#size === part.length) {
      this.#seal();
      this.#parts.push(part);
      return;
    }
    for (let at = 0; at < part.length; ) {
      if (this.#used === this.#block.length) {
        this.#seal();
        this.#block = Buffer.allocUnsafeSlow(BLOCK);
      }
      const copied = part.copy(this.#block, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  /** All of it. Nothing may be added after this. */
  take(): Buffer {
    this.#seal();
    const [only] = this.#parts;
    const whole = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts, this.#size);
    this.#parts = [];
    return whole;
  }

  #seal(): void {
    if (this.#used > 0) this.#parts.push(this.#block.subarray(0, this.#used));
    this.#block = EMPTY;
    this.#used = 0;
  }
}

/** Whose reply is being read. */
export interface Reader {
  /** It takes more than there is: what comes of it is not waited for any longer. */
  breakOff(): void;
}

export class ReplyMemory {
  readonly #limit: number;
  readonly #sizes = new Map<Reader, number>();
  #total = 0;
  /** Replies that were broken off since the start. */
  brokenOff = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What replies that are not small take now. */
  get total(): number {
    return this.#total;
  }

  /** This reader holds so many bytes of its reply now. May break off any reply, this one too. */
  hold(reader: Reader, size: number): void {
    this.release(reader);
    if (size <= SMALL_BODY) return;
    this.#total += size;
    this.#sizes.set(reader, size);
    while (this.#total > this.#limit) {
      const largest = this.#largest();
      if (!largest) return;
      this.release(largest);
      this.brokenOff++;
      largest.breakOff();
    }
  }

  /** Its reply is read, or nobody reads it any longer. */
  release(reader: Reader): void {
    this.#total -= this.#sizes.get(reader) ?? 0;
    this.#sizes.delete(reader);
  }

  #largest(): Reader | undefined {
    let largest: Reader | undefined;
    let most = 0;
    for (const [reader, size] of this.#sizes) {
      if (size <= most) continue;
      largest = reader;
      most = size;
    }
    return largest;
  }
}
