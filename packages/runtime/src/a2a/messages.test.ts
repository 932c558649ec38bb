import { describe, expect, it } from 'vitest';
import { summarise, textOf, understoodParts } from './messages.ts';

describe('what a message says', () => {
  it('is all its texts, whether they call themselves kind or type', () =>
    expect(textOf(understoodParts([{ kind: 'text', text: 'a' }, { type: 'text', text: 'b' }, { kind: 'data' }]))).toBe('a b'));
  it('may be a file', () =>
    expect(understoodParts([{ kind: 'file', file: { uri: 'workspace:/workspace/a', mimeType: 'text/plain' } }])).toEqual([
      { kind: 'file', file: { uri: 'workspace:/workspace/a', mimeType: 'text/plain' } },
    ]));
  it('is nothing when a part lacks what it says it has', () =>
    expect(understoodParts([{ kind: 'text' }, { kind: 'file' }, {}])).toEqual([]));
});

describe('the one line of a task (spec 4 §6.5)', () => {
  it.each([
    ['## **Fix** the __bug__\nmore', 'Fix the bug'],
    ['\n---\n```ts\nlet it be', 'let it be'],
    ['', ''],
    ['x'.repeat(81), `${'x'.repeat(77)}...`],
    ['x'.repeat(80), 'x'.repeat(80)],
  ])('of %j is %j', (text, line) => expect(summarise(text)).toBe(line));
});
