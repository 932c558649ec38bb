import { describe, expect, it } from 'vitest';
import { ago, restartContextMessage, restartContextText } from './restart-context.ts';

const restartAt = new Date('2026-03-04T05:06:07.890Z');

describe('how long ago a session ended', () => {
  it.each([
    [-5_000, '0s'],
    [0, '0s'],
    [499, '0s'],
    [500, '1s'],
    [38_000, '38s'],
    [59_499, '59s'],
    [59_500, '1m0s'],
    [185_000, '3m5s'],
    [3_599_499, '59m59s'],
    [3_599_500, '1h0m'],
    [8_040_000, '2h14m'],
    [8_099_000, '2h14m'],
    [360_000_000, '100h0m'],
  ])('%d ms is %s', (ms, text) => expect(ago(ms)).toBe(text));
});

describe('the restart context', () => {
  it('names the sessions and what is in the environment, sorted and each once', () =>
    expect(
      restartContextText({ restartAt, lastBeatAt: new Date('2026-03-04T02:52:07.000Z'), keys: ['B_KEY', 'A_KEY', 'B_KEY'] }),
    ).toBe(`=== WORKSPACE RESTART CONTEXT ===
Restart at: 2026-03-04T05:06:07Z
Previous session ended: 2026-03-04T02:52:07Z (2h14m ago)
Env vars now available: A_KEY, B_KEY
=== END RESTART CONTEXT ===
`));

  it('says so when there was no session, and when there is no secret', () =>
    expect(restartContextText({ restartAt, lastBeatAt: null, keys: [] })).toBe(`=== WORKSPACE RESTART CONTEXT ===
Restart at: 2026-03-04T05:06:07Z
Previous session ended: (no prior session on record)
Env vars now available: (none)
=== END RESTART CONTEXT ===
`));

  it('travels as a message of the platform', () =>
    expect(restartContextMessage('text', { id: 'i', messageId: 'm' })).toEqual({
      jsonrpc: '2.0',
      id: 'i',
      method: 'message/send',
      params: {
        message: {
          messageId: 'm',
          role: 'user',
          parts: [{ kind: 'text', text: 'text' }],
          metadata: { source: 'platform', kind: 'restart_context', layer: 1, restart_context: true },
        },
      },
    }));
});
