/** What services make of text alike: an id that is the same for the same text, and a beginning that fits. Pure. */
import { createHash } from 'node:crypto';

/** A UUID (version 8, of our own making) that the same text always gives: whoever does something again does it under the same id. */
export function derivedId(text: string): string {
  const hash = createHash('sha256').update(text).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** As many whole characters from the beginning as fit into so many bytes of UTF-8. */
export function firstBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
