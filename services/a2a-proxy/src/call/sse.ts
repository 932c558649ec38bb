/**
 * Server-sent events, read out of bytes as they come (WHATWG HTML §9.2): what their data says, and nothing else of them.
 *
 *   V1. It holds no more than one event, of at most `maxLength` characters; what is larger is told as `null`.
 *   V2. It reads each character once, and keeps no more of it, however small the pieces are that they come in.
 */
import { StringDecoder } from 'node:string_decoder';

const BREAK = /[\r\n]/g;
/** So many pieces of a line are put together: one alone costs more than a character. */
const MAX_PIECES = 1_024;
const BYTE_ORDER_MARK = '\ufeff';

export class SseReader {
  readonly #maxLength: number;
  readonly #onEvent: (data: string | null) => void;
  readonly #decoder = new StringDecoder('utf8');
  #begun = false;
  /** The last piece ended with a CR; an LF that comes first now belongs to it. */
  #afterCr = false;
  /** Of a line whose end has not come yet. */
  #line = '';
  #pieces: string[] = [];
  #lineLength = 0;
  #data: string[] = [];
  /** Of the event so far, the line that is coming included. */
  #length = 0;
  #tooLarge = false;

  /** `onEvent` hears the data of each event; `null`: it was too large. */
  constructor(maxLength: number, onEvent: (data: string | null) => void) {
    this.#maxLength = maxLength;
    this.#onEvent = onEvent;
  }

  /** How many characters of an event that has not ended it holds. */
  get held(): number {
    return this.#tooLarge ? 0 : this.#length;
  }

  push(chunk: Buffer): void {
    this.#read(this.#decoder.write(chunk));
  }

  /** The stream has ended: an event counts also if its agent forgot the last blank line. */
  end(): void {
    this.#read(this.#decoder.end());
    if (this.#lineLength > 0) this.#endLine('');
    this.#endEvent();
  }

  #read(text: string): void {
    if (text === '') return;
    let from = 0;
    if (!this.#begun && text.startsWith(BYTE_ORDER_MARK)) from = 1;
    this.#begun = true;
    if (this.#afterCr && text.startsWith('\n')) from = 1;
    this.#afterCr = false;
    for (;;) {
      BREAK.lastIndex = from;
      const at = BREAK.exec(text)?.index;
      if (at === undefined) break;
      this.#endLine(text.slice(from, at));
      const isCr = text[at] === '\r';
      this.#afterCr = isCr && at + 1 === text.length;
      from = isCr && text[at + 1] === '\n' ? at + 2 : at + 1;
    }
    this.#hold(text.slice(from));
  }

  #hold(piece: string): void {
    this.#lineLength += piece.length;
    this.#length += piece.length;
    if (this.#length > this.#maxLength) this.forget(); // V1
    if (this.#tooLarge) return;
    this.#pieces.push(piece);
    if (this.#pieces.length === MAX_PIECES) this.#gather();
  }

  #gather(): void {
    this.#line += this.#pieces.join('');
    this.#pieces = [];
  }

  /** The event that is coming is told as too large. */
  forget(): void {
    this.#tooLarge = true;
    this.#line = '';
    this.#pieces = [];
    this.#data = [];
  }

  #endLine(piece: string): void {
    this.#hold(piece);
    this.#gather();
    const line = this.#line;
    const isBlank = this.#lineLength === 0;
    this.#line = '';
    this.#lineLength = 0;
    if (isBlank) this.#endEvent();
    else if (!this.#tooLarge) this.#addField(line);
  }

  #addField(line: string): void {
    if (line === 'data') this.#data.push('');
    else if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else this.#length -= line.length; // not held: a comment, or a field that says nothing of the reply
  }

  #endEvent(): void {
    const data = this.#data;
    const tooLarge = this.#tooLarge;
    this.#data = [];
    this.#length = 0;
    this.#tooLarge = false;
    if (tooLarge) this.#onEvent(null);
    else if (data.length > 0) this.#onEvent(data.join('\n'));
  }
}
