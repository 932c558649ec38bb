/** The beginning of a text, for summaries and events. */
import { firstBytes } from '@molecule/service';

/** At most `maxBytes` of UTF-8, cut on a character boundary, and then `ellipsis`; a text that fits is left as it is. */
export function preview(text: string, maxBytes: number, ellipsis: string): string {
  const beginning = firstBytes(text, maxBytes);
  return beginning === text ? text : `${beginning}${ellipsis}`;
}
