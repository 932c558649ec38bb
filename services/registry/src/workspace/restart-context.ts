/** What a restarted agent is told about itself (spec 3 §1.16). Pure: taken before the restart, sent after it. */

export interface RestartSnapshot {
  readonly restartAt: Date;
  /** The last beat of the session that ends; `null`: there was none. */
  readonly lastBeatAt: Date | null;
  /** Names of the secrets it has, never their values (I10). */
  readonly keys: readonly string[];
}

/** The text of the message. */
export function restartContextText({ restartAt, lastBeatAt, keys }: RestartSnapshot): string {
  const ended =
    lastBeatAt === null
      ? '(no prior session on record)'
      : `${rfc3339(lastBeatAt)} (${ago(restartAt.getTime() - lastBeatAt.getTime())} ago)`;
  const names = [...new Set(keys)].sort();
  return [
    '=== WORKSPACE RESTART CONTEXT ===',
    `Restart at: ${rfc3339(restartAt)}`,
    `Previous session ended: ${ended}`,
    `Env vars now available: ${names.length === 0 ? '(none)' : names.join(', ')}`,
    '=== END RESTART CONTEXT ===',
    '',
  ].join('\n');
}

/** The JSON-RPC request that carries it. */
export const restartContextMessage = (text: string, { id, messageId }: { readonly id: string; readonly messageId: string }) => ({
  jsonrpc: '2.0',
  id,
  method: 'message/send',
  params: {
    message: {
      messageId,
      role: 'user',
      parts: [{ kind: 'text', text }],
      metadata: { source: 'platform', kind: 'restart_context', layer: 1, restart_context: true },
    },
  },
});

/** To the second, as people read it. */
const rfc3339 = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, 'Z');

/** `2h14m`, `3m5s` or `38s`, rounded to seconds. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
