/** The beginning of a text, for summaries and events. */

/** At most `maxBytes` of UTF-8, cut on a character boundary, and then `ellipsis`; a text that fits is left as it is. */
export function preview(text: string, maxBytes: number, ellipsis: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}${ellipsis}`;
}
