/** What a watcher outside says of a start that went wrong (spec 1 §1.11), cut to what is kept of it. Pure. */
import type { Evidence } from './status.ts';

const MAX_BYTES = 8_192;
const CUT = '...(truncated)...\n';

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0b1100_0000) === 0b1000_0000;

/** The first `maxBytes` of a text at most, without half a character at its end. */
export function headOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && isContinuation(bytes[end])) end--;
  return bytes.toString('utf8', 0, end);
}

/** The last `maxBytes` of a text at most, without half a character at its beginning. */
export function tailOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let start = bytes.length - maxBytes;
  while (start < bytes.length && isContinuation(bytes[start])) start++;
  return bytes.toString('utf8', start);
}

/** The evidence that a report amounts to. The error is bounded like the tail: it travels in a fact (D10). */
export function bootstrapFailure({ error, logTail }: { readonly error: string; readonly logTail: string }): Evidence {
  const said = headOf(error.trim(), MAX_BYTES) || 'bootstrap failed — see log_tail';
  const kept = tailOf(logTail, MAX_BYTES);
  const tail = kept === logTail ? logTail : `${CUT}${kept}`;
  return { kind: 'bootstrap-failed', error: said, logTail: tail, sampleError: headOf(`${said}\n\n${tail}`, MAX_BYTES) };
}
