/**
 * Looks into JSON text without rebuilding it, so that what is passed on or shown is what was written: numbers keep their digits,
 * escapes stay escapes, and no depth overflows a stack. All functions expect text that `JSON.parse` has accepted.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

export interface Span {
  readonly start: number;
  readonly end: number;
}

export const skipSpace = (text: string, from: number): number => {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
};

/** Where the string that begins at `start` ends: behind its closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at++;
  }
}

/** Where the value that begins at `start` ends. */
function valueEnd(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return stringEnd(text, start);
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
    let at = start;
    while (at < text.length && !endsScalar(text.charCodeAt(at))) at++;
    return at;
  }
  let depth = 0;
  for (let at = start; ; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(text, at);
      continue;
    }
    at++;
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth++;
    else if ((code === CLOSE_OBJECT || code === CLOSE_ARRAY) && --depth === 0) return at;
  }
}

const endsScalar = (code: number): boolean => code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isSpace(code);

/** Where the value of the member `name` of the object at `objectStart` stands; of several, the last, as `JSON.parse` has it. */
export function memberSpan(text: string, objectStart: number, name: string): Span | undefined {
  let found: Span | undefined;
  let at = skipSpace(text, objectStart + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = stringEnd(text, at);
    const key = text.slice(at, keyEnd);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1); // behind the colon
    const end = valueEnd(text, start);
    if (key === `"${name}"` || (key.includes('\\') && JSON.parse(key) === name)) found = { start, end };
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return found;
}

/** The same JSON without spaces between its parts. */
export function compact(text: string): string {
  let out = '';
  let kept = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(text, at);
    else if (isSpace(code)) {
      out += text.slice(kept, at);
      at = skipSpace(text, at);
      kept = at;
    } else at++;
  }
  return kept === 0 ? text : out + text.slice(kept);
}
