/**
 * Multipart bodies (RFC 2046, RFC 7578), read as they come in.
 *
 *   M1. Of a body nothing is kept but the head of one part, and what might be the beginning of a delimiter.
 *   M2. A body that ends before its closing delimiter is broken, whatever it held; what follows the delimiter counts for nothing.
 *   M3. Heads and parts are bounded. What one part says of itself that cannot be read makes it a part without a name, not the body broken.
 *
 * Libraries there are, but none that tells a part without a type from one of `text/plain`, or a type as it was sent (spec 2 §5.1).
 */

export class BrokenMultipart extends Error {}

export interface PartHead {
  /** Of its field; `''`: it says none that can be read. */
  readonly name: string;
  /** As it was sent; `undefined`: it is no file. */
  readonly filename: string | undefined;
  /** As it was sent. */
  readonly contentType: string | undefined;
  readonly contentLength: number | undefined;
  /** In lower case. */
  readonly transferEncoding: string | undefined;
}

/** The head of a part, or some bytes of the one whose head came last. */
export type Piece = { readonly head: PartHead } | { readonly bytes: Buffer };

const MAX_HEAD_BYTES = 16 * 1024;
const MAX_PARTS = 1_000;
const MAX_PADDING_BYTES = 128;
const MAX_BOUNDARY = 256;
const LINE_END = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

/** `undefined`: that is no `multipart/form-data`, or one without a boundary. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const { value, parameters } = parseHeader(contentType ?? '') ?? {};
  const boundary = parameters?.get('boundary');
  if (value !== 'multipart/form-data' || boundary === undefined) return undefined;
  return boundary === '' || boundary.length > MAX_BOUNDARY ? undefined : boundary;
}

/** @throws BrokenMultipart, or what reading the body throws */
export async function* readMultipart(body: AsyncIterable<Buffer>, boundary: string): AsyncGenerator<Piece> {
  const input = new Input(body, Buffer.from(`\r\n--${boundary}`, 'latin1'));
  try {
    for await (const _ of input.untilDelimiter()); // what comes before the first part
    for (let parts = 1; input.isFollowedByPart(); parts++) {
      if (parts > MAX_PARTS) throw new BrokenMultipart('it has too many parts');
      yield { head: headOf(await input.head()) };
      for await (const bytes of input.untilDelimiter()) yield { bytes };
    }
    await input.drop();
  } finally {
    await input.close();
  }
}

class Input {
  readonly #body: AsyncIterator<Buffer>;
  /** A delimiter at the very beginning is preceded by nothing, which is to count as the end of a line. */
  #held: Buffer = LINE_END;
  readonly #delimiter: Buffer;

  constructor(body: AsyncIterable<Buffer>, delimiter: Buffer) {
    this.#body = body[Symbol.asyncIterator]();
    this.#delimiter = delimiter;
  }

  /** What comes before the next delimiter, which is passed over as well. */
  async *untilDelimiter(): AsyncGenerator<Buffer> {
    const delimiter = this.#delimiter;
    for (;;) {
      const at = this.#held.indexOf(delimiter);
      const safe = at === -1 ? this.#held.length - delimiter.length + 1 : at;
      if (safe > 0) yield this.#take(safe);
      if (at === -1) await this.#more();
      else if (await this.#passDelimiter()) return;
      else yield this.#take(delimiter.length); // it only begins like one
    }
  }

  /** After a delimiter: `false` for the closing one. */
  isFollowedByPart(): boolean {
    return this.#held.subarray(0, 2).toString('latin1') !== '--';
  }

  /** Up to the empty line, which is passed over as well. */
  async head(): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(HEAD_END);
      if ((at === -1 ? this.#held.length : at) > MAX_HEAD_BYTES) throw new BrokenMultipart('the head of a part is too large');
      if (at === -1) await this.#more();
      else
        return this.#take(at + HEAD_END.length)
          .subarray(LINE_END.length, at)
          .toString();
    }
  }

  /** Reads what is left and forgets it. */
  async drop(): Promise<void> {
    while (!(await this.#body.next()).done);
  }

  /** Lets the body know that no more of it is read. */
  async close(): Promise<void> {
    await this.#body.return?.();
  }

  /** Whether it is a whole one that stands here: then it is passed over, up to the end of its line or to `--`. */
  async #passDelimiter(): Promise<boolean> {
    const { length } = this.#delimiter;
    for (;;) {
      const rest = this.#held.subarray(length, length + MAX_PADDING_BYTES).toString('latin1');
      const padding = rest.startsWith('--') ? 0 : /^[ \t]*(?=\r\n)/.exec(rest)?.[0].length;
      if (padding !== undefined) {
        this.#take(length + padding);
        return true;
      }
      if (!/^(?:-|[ \t]*\r?)$/.test(rest) || rest.length === MAX_PADDING_BYTES) return false;
      await this.#more();
    }
  }

  #take(bytes: number): Buffer {
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#body.next();
    if (done) throw new BrokenMultipart('it ends before its closing delimiter'); // M2
    this.#held = this.#held.length === 0 ? value : Buffer.concat([this.#held, value]);
  }
}

function headOf(text: string): PartHead {
  const fields = new Map<string, string>();
  for (const line of text === '' ? [] : text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new BrokenMultipart('a line of the head of a part is no header');
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  const disposition = parseHeader(fields.get('content-disposition') ?? '');
  const parameters = disposition?.value === 'form-data' ? disposition.parameters : new Map<string, string>();
  const length = fields.get('content-length');
  return {
    name: parameters.get('name') ?? '',
    filename: extended(parameters.get('filename*')) ?? parameters.get('filename'),
    contentType: fields.get('content-type') || undefined,
    contentLength: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    transferEncoding: fields.get('content-transfer-encoding')?.toLowerCase(),
  };
}

/** `; name=token` or `; name="text"`. */
const PARAMETER = /;\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*/sy;

/** The value, in lower case, and its parameters, whose names are; `undefined` when it cannot be read, or says something twice. */
export function parseHeader(
  text: string,
): { readonly value: string; readonly parameters: ReadonlyMap<string, string> } | undefined {
  const [, value = '', rest = ''] = /^([^;]*)(.*)$/s.exec(text) ?? [];
  const parameters = new Map<string, string>();
  PARAMETER.lastIndex = 0;
  let end = 0;
  for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
    const [, name = '', quoted, token = ''] = match;
    if (parameters.has(name.toLowerCase())) return undefined;
    // A backslash before anything else is one: there are paths that are sent unescaped.
    parameters.set(name.toLowerCase(), quoted?.replace(/\\(["\\])/g, '$1') ?? token);
    end = PARAMETER.lastIndex;
  }
  if (!/^;?\s*$/.test(rest.slice(end))) return undefined;
  return { value: value.trim().toLowerCase(), parameters };
}

/** RFC 5987: `UTF-8''na%C3%AFve.txt`. */
function extended(value: string | undefined): string | undefined {
  const [, encoded] = /^utf-8'[^']*'(.*)$/i.exec(value ?? '') ?? [];
  if (encoded === undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
