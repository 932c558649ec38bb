import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageIdOf, messageOf, readAnswer } from './fire.ts';

describe('what a run came to', () => {
  it.each([
    ['an answer', 200, '{"result":{"parts":[{"kind":"text","text":"done"}]}}', { error: '', empty: false }],
    ['a place in the queue', 202, '{"queued":true}', { error: '', empty: false }],
    ['no body', 200, '', { error: '', empty: true }],
    ['an empty text', 200, '{"result":{"parts":[{"kind":"text","text": ""}]}}', { error: '', empty: true }],
    ['the phrase for nothing', 200, '{"text":"(no response generated)"}', { error: '', empty: true }],
    [
      'an error of the proxy',
      502,
      '{"error":"failed to reach workspace agent"}',
      { error: 'failed to reach workspace agent', empty: false },
    ],
    ['an error that is no string', 500, '{"error":{"code":1}}', { error: 'HTTP 500', empty: false }],
    ['an error that is no JSON', 504, '<html>', { error: 'HTTP 504', empty: false }],
    ['an empty error', 500, '{"error":""}', { error: 'HTTP 500', empty: false }],
    ['JSON null', 500, 'null', { error: 'HTTP 500', empty: false }],
  ])('is read from %s', (_, status, text, outcome) => expect(readAnswer(status, text)).toEqual(outcome));

  it('is always something, whatever the answer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.string({ unit: 'binary' }), (status, text) => {
        const { error } = readAnswer(status, text);
        expect(error === '').toBe(status >= 200 && status < 300);
        expect(error.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('the message of an occurrence', () => {
  const scheduleId = '5d1f2c3b-0000-4000-8000-000000000001';
  const dueAt = new Date('2026-03-02T09:00:00Z');

  it('has one id, whoever sends it', () => {
    expect(messageIdOf(scheduleId, dueAt)).toBe(messageIdOf(scheduleId, new Date(dueAt)));
    expect(messageIdOf(scheduleId, dueAt)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(messageIdOf(scheduleId, new Date('2026-03-02T10:00:00Z'))).not.toBe(messageIdOf(scheduleId, dueAt));
  });

  it('is shaped as runtimes know it', () => {
    const id = messageIdOf(scheduleId, dueAt);
    expect(JSON.parse(messageOf(scheduleId, id, 'stand up'))).toEqual({
      method: 'message/send',
      params: {
        message: { role: 'user', messageId: `cron-5d1f2c3b-${id.slice(0, 8)}`, parts: [{ kind: 'text', text: 'stand up' }] },
      },
    });
  });
});
