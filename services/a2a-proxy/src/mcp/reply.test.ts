import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, answers } from '../call/answer.ts';
import { replyText, textOf } from './reply.ts';

const of = (text: string) => replyText(Buffer.from(text), true);
const parts = (text: string) => ({ parts: [{ text }, { text: 'second' }] });

describe('the text of a reply', () => {
  it.each([
    ['an error', { error: { code: 1, message: 'no' }, result: { artifacts: [parts('a')] } }, '[error] no'],
    ['the first artifact', { result: { artifacts: [parts('a'), parts('b')], message: parts('m') } }, 'a'],
    ['a message', { result: { artifacts: [], message: parts('m') } }, 'm'],
    ['an empty text', { result: { message: parts('') } }, ''],
    ['a message as the result', { result: { kind: 'message', parts: [] } }, '{"kind":"message","parts":[]}'],
    ['no text in the part', { result: { artifacts: [{ parts: [{ data: 1 }] }] } }, '{"artifacts":[{"parts":[{"data":1}]}]}'],
    ['an error without a message', { error: 'x', result: { a: 1 } }, '{"a":1}'],
    ['an empty error message', { error: { message: '' }, result: { a: 1 } }, '{"a":1}'],
  ])('is that of %s', (_, reply, expected) => expect(of(JSON.stringify(reply))).toBe(expected));

  it.each(['', 'plain', '{"result":"text"}', '{"result":[1]}', '{"result":null}', '{}', '[]', 'null'])(
    'of %j is what was sent',
    (raw) => expect(of(raw)).toBe(raw),
  );

  it('shows the result as the agent wrote it, without spaces', () =>
    expect(of('{ "result" : { "n" : 9007199254740993, "t": "a b" } }')).toBe('{"n":9007199254740993,"t":"a b"}'));

  it('of one that was cut is its beginning', () =>
    expect(replyText(Buffer.from('{"result":{"a"'), false)).toBe('{"result":{"a"'));

  it('is always a text, whatever came', () =>
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (raw) => {
        expect(typeof of(raw)).toBe('string');
      }),
    ));
});

describe('an answer', () => {
  const call = { caller: 'a', target: 'b' };

  it.each<[string, Answer, string]>([
    ['may not', answers.accessDenied, 'workspace a is not authorised to communicate with b'],
    ['there is none', answers.notFound, 'workspace b not found'],
    ['it has no URL', answers.noUrl('offline'), 'workspace b has no URL (status: offline)'],
    ['its URL is not ours to dial', answers.notRoutable, 'invalid workspace URL: workspace URL is not publicly routable'],
    ['the dial was refused', answers.notCreated, 'invalid workspace URL: failed to create proxy request'],
    ['the budget is spent', answers.overBudget, 'A2A call failed: workspace budget limit exceeded'],
    ['nobody answers', answers.unreachable, 'A2A call failed: failed to reach workspace agent'],
    ['it wakes', answers.waking, 'A2A call failed: workspace is waking from hibernation — retry in ~15 seconds'],
    ['the agent failed', answers.upstreamError(500, 'Internal Server Error'), 'A2A call failed: Internal Server Error'],
    ['the agent says what we say', answers.upstreamError(503, 'workspace has no URL'), 'A2A call failed: workspace has no URL'],
  ])('fails when %s', (_, answer, text) =>
    expect(() => textOf(answer, call)).toThrow(expect.objectContaining({ code: -32_000, message: text })),
  );

  it('tells of a place in the mailbox', () =>
    expect(textOf(answers.queued('b', 'q', 3), call)).toBe(
      'Queued: workspace b is busy. The task waits in its mailbox (3 waiting) and is delivered when there is room; do not send it again. check_task_status knows it as task_id q.',
    ));

  it('of an agent is never taken for ours', () => {
    const said = Buffer.from('{"queued":true,"queue_id":"q"}');
    expect(textOf({ status: 202, body: said, error: null }, call)).toBe(said.toString());
  });

  it('is read up to 1 MiB', () => {
    const long = Buffer.from(`{"result":{"message":{"parts":[{"text":"${'x'.repeat(1024 * 1024)}"}]}}}`);
    expect(textOf({ status: 200, body: long, error: null }, call)).toHaveLength(1024 * 1024);
  });
});
