import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { usageOf } from '../usage/usage.ts';
import { replyText, toolTraceOf } from './classify.ts';
import { StreamReply } from './stream-reply.ts';

const replyOf = (events: readonly (string | null)[], maxLength = 10_000): string => {
  const reply = new StreamReply(maxLength);
  for (const event of events) reply.take(event);
  return reply.text();
};
const response = (result: unknown): string => JSON.stringify({ jsonrpc: '2.0', id: 1, result });
const amount = (...results: unknown[]): unknown => JSON.parse(replyOf(results.map(response)));
const text = (said: string) => ({ kind: 'text', text: said });

const working = { state: 'working' };
const completed = { state: 'completed' };
const task = { kind: 'task', id: 't', contextId: 'c', status: working };
const about = { taskId: 't', contextId: 'c' };
const status = (now: unknown, more = {}) => ({ kind: 'status-update', ...about, status: now, final: now === completed, ...more });
const artifact = (artifactId: string, parts: unknown[], more = {}) => ({
  kind: 'artifact-update',
  ...about,
  artifact: { artifactId, parts },
  ...more,
});

describe('the reply of a stream', () => {
  it('R1: is the message that came last, as it was written', () => {
    const written =
      '{"jsonrpc": "2.0", "id": 9007199254740993, "result": {"kind":"message","parts":[{"kind":"text","text":"\\u00e9"}],"x":1.0}}';
    expect(replyOf([response({ kind: 'message', parts: [text('first')] }), written])).toBe(written);
  });

  it('R1: is the error that ended it, as it was written', () => {
    const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"out of luck","data":1e400}}';
    expect(replyOf([response(task), response(artifact('a', [text('half')])), error])).toBe(error);
  });

  it('R1: is the task alone, as it was written', () => {
    const written = '{"id":"1","result":{"kind":"task","id":"t","artifacts":[{"artifactId":1.50}]}}';
    expect(replyOf([written])).toBe(written);
  });

  it('R1: is the task, with what later events made of it', () => {
    expect(
      amount(
        task,
        status(working),
        artifact('a', [text('Hel')]),
        artifact('b', [text('other'), { kind: 'data', data: { n: 1 } }]),
        artifact('a', [text('lo'), text(', world')], { append: true, lastChunk: true }),
        status(completed),
      ),
    ).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        ...task,
        status: completed,
        artifacts: [
          { artifactId: 'a', parts: [text('Hello, world')] },
          { artifactId: 'b', parts: [text('other'), { kind: 'data', data: { n: 1 } }] },
        ],
      },
    });
  });

  it('R1: has an artifact that was sent anew once, and one that is only added to from there on', () => {
    expect(
      amount(
        { ...task, artifacts: [{ artifactId: 'a', parts: [text('old')] }] },
        artifact('a', [text('new')]),
        artifact('b', [text('late')], { append: true }),
      ),
    ).toMatchObject({
      result: {
        artifacts: [
          { artifactId: 'a', parts: [text('new')] },
          { artifactId: 'b', parts: [text('late')] },
        ],
      },
    });
  });

  it('R1: keeps apart what is more than text', () => {
    const noted = { kind: 'text', text: 'b', metadata: { lang: 'en' } };
    expect(amount(task, artifact('a', [text('a')]), artifact('a', [noted, text('c')], { append: true }))).toMatchObject({
      result: { artifacts: [{ parts: [text('a'), noted, text('c')] }] },
    });
  });

  it('R1: is a task also when the stream was joined late', () => {
    expect(amount(artifact('a', [text('end')], { append: true }), status(completed))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        kind: 'task',
        id: 't',
        contextId: 'c',
        status: completed,
        artifacts: [{ artifactId: 'a', parts: [text('end')] }],
      },
    });
  });

  it('R1: is read in the shapes of A2A 1.0, too', () => {
    expect(
      amount(
        { task: { id: 't', contextId: 'c', status: working } },
        { artifactUpdate: { ...about, artifact: { artifactId: 'a', parts: [{ text: 'Hel' }] } } },
        { artifactUpdate: { ...about, artifact: { artifactId: 'a', parts: [{ text: 'lo' }] }, append: true } },
        { statusUpdate: { ...about, status: completed } },
      ),
    ).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        task: { id: 't', contextId: 'c', status: completed, artifacts: [{ artifactId: 'a', parts: [{ text: 'Hello' }] }] },
      },
    });
    const message = response({ message: { parts: [{ text: 'hi' }] } });
    expect(replyOf([message])).toBe(message);
  });

  it('says what the platform looks for in a reply: text, tool trace, usage', () => {
    const reply = amount(
      task,
      artifact('a', [text('the '), text('answer')]),
      status(working, { metadata: { tool_trace: [{ tool: 'x' }] } }),
      status(completed, { metadata: { cost: 1 }, usage: { input_tokens: 3, output_tokens: 4 } }),
    );
    expect(replyText(reply, 'raw')).toBe('the ');
    expect(toolTraceOf(reply)).toBe('[{"tool":"x"}]');
    expect(usageOf(reply)).toEqual({ inputTokens: 3, outputTokens: 4 });
  });

  it.each<[string, (string | null)[]]>([
    ['no event', []],
    ['no JSON', ['[DONE]', 'x', '', '"text"', '[]', 'null']],
    ['no response', ['{"method":"notify"}', '{"error":"text"}']],
    ['an event too large to be looked at', [response(task), null, response(status(completed))]],
  ])('R2: is null of %s', (_, events) => {
    expect(replyOf(events)).toBe('null');
  });

  it('R2: passes over what is no response', () => {
    const message = response({ kind: 'message', parts: [] });
    expect(replyOf([message, '[DONE]', '{}'])).toBe(message);
  });

  it('R2: is null of a task that grows too large, and what is replaced does not count', () => {
    const once = response(artifact('a', [text('x'.repeat(1_000))]));
    const more = response(artifact('a', [text('x'.repeat(1_000))], { append: true }));
    expect(replyOf([...Array(20).fill(once)], 5_000)).not.toBe('null');
    expect(replyOf([...Array(100).fill(response(status(working)))], 5_000)).not.toBe('null');
    expect(replyOf([...Array(20).fill(more)], 5_000)).toBe('null');
    expect(replyOf([...Array(20).fill(more), response(status(completed))], 5_000)).toBe('null');
  });

  it('is JSON, whatever came', () => {
    const event = fc.oneof(
      fc.string(),
      fc.constant(null),
      fc.json(),
      fc
        .record(
          {
            kind: fc.constantFrom('task', 'status-update', 'artifact-update', 'message', 7),
            artifacts: fc.jsonValue(),
            artifact: fc.oneof(fc.jsonValue(), fc.record({ artifactId: fc.constantFrom('a', null), parts: fc.jsonValue() })),
            append: fc.boolean(),
            status: fc.jsonValue(),
            metadata: fc.jsonValue(),
          },
          { requiredKeys: [] },
        )
        .map(response),
      fc.jsonValue().map((value) => response({ artifactUpdate: value })),
    );
    fc.assert(fc.property(fc.array(event), (events) => void JSON.parse(replyOf(events, 500))));
    expect(
      replyOf([response(task), `{"result":{"kind":"status-update","status":${'['.repeat(5_000)}${']'.repeat(5_000)}}}`]),
    ).toBeTypeOf('string');
  });
});
