import { describe, expect, it } from 'vitest';
import { idleTimeout, inContainer, positive } from './config.ts';
import { rewritten } from './dialled.ts';
import { pageLimit } from './http.ts';

describe('A2A_IDLE_TIMEOUT_SECONDS', () => {
  it.each([
    ['1', 1_000],
    ['600', 600_000],
    ['+7', 7_000],
  ])('%s is taken', (text, ms) => expect(idleTimeout(text)).toEqual({ ms, warning: null }));
  it.each(['1.5', '60s', 'foo', '0', '-3', ' 5', '1e3', '0x10'])('%j is 300 s, with a warning', (text) =>
    expect(idleTimeout(text)).toEqual({ ms: 300_000, warning: expect.stringContaining('300') }),
  );
  it('is 300 s without a warning when absent', () => expect(idleTimeout('')).toEqual({ ms: 300_000, warning: null }));
});

describe('other settings', () => {
  it('reads retention leniently', () => {
    for (const odd of ['', '0', 'x', '-1']) expect(positive(odd, 6)).toBe(6);
    expect(positive('0.5', 6)).toBe(0.5);
  });
  it('reads whether it is in a container', () => {
    for (const yes of ['1', 't', 'T', 'true', 'TRUE', 'True']) expect(inContainer(yes)).toBe(true);
    for (const no of ['0', 'f', 'F', 'false', 'FALSE', 'False']) expect(inContainer(no)).toBe(false);
    for (const odd of ['', 'yes', 'tRUE']) expect(inContainer(odd)).toBeUndefined();
  });
  it('rewrites the loopback of a container, and nothing else', () => {
    const id = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
    expect(rewritten('http://127.0.0.1:4711', id)).toBe('http://ws-0b6c2f53-6d5:8000');
    for (const url of ['https://127.0.0.1:1', 'http://localhost:1', 'http://10.0.0.1:1']) expect(rewritten(url, id)).toBe(url);
  });
  it('reads the limit of a page', () => {
    const limit = (text?: string) => pageLimit(text, { usual: 100, most: 500 });
    for (const odd of [undefined, '', 'x', '0', '-1', '1.5', ' 5', '1e2']) expect(limit(odd)).toBe(100);
    for (const text of ['50', '+50', '050']) expect(limit(text)).toBe(50);
    for (const much of ['500', '501', '9999999999999999999999']) expect(limit(much)).toBe(500);
  });
});
