import fc from 'fast-check';
import { errors } from 'undici';
import { describe, expect, it } from 'vitest';
import { classifyFailure, errorOf, GaveUp, readReply, replyText, toolTraceOf } from './classify.ts';

class Unsafe extends Error {}
const isUnsafe = (error: unknown) => error instanceof Unsafe;
const kind = (error: unknown) => classifyFailure(error, isUnsafe).kind;
const coded = (code: string, message = '') => Object.assign(new Error(message), { code });

describe('a dispatch that got no answer', () => {
  it.each([
    ['the deadline', new GaveUp('deadline')],
    ['the idle clock', new GaveUp('idle')],
    ['a reset', coded('ECONNRESET', 'read ECONNRESET')],
    ['a broken pipe', coded('EPIPE')],
    ['an end before the headers', new errors.SocketError('other side closed')],
    ['an end within the headers', coded('HPE_INVALID_EOF_STATE')],
  ])('is a busy agent after %s', (_what, error) => expect(kind(error)).toBe('busy'));

  it.each([
    ['a refused connection', coded('ECONNREFUSED')],
    ['several refused connections', Object.assign(new AggregateError([coded('ECONNREFUSED')]), { code: 'ECONNREFUSED' })],
    ['an unknown name', coded('ENOTFOUND')],
    ['no route', coded('EHOSTUNREACH')],
    ['a connection that took too long', new errors.ConnectTimeoutError()],
    ['a malformed response', Object.assign(coded('HPE_INVALID_CONSTANT'), { name: 'HTTPParserError' })],
    ['an upgrade nobody asked for', new errors.SocketError('bad upgrade')],
    ['too many headers', new errors.HeadersOverflowError()],
    ['two lengths', new errors.ResponseContentLengthMismatchError()],
    ['a status that is none', coded('ERR_ASSERTION')],
    [
      'a hang-up during TLS',
      coded('ECONNRESET', 'Client network socket disconnected before secure TLS connection was established'),
    ],
    ['a certificate', coded('DEPTH_ZERO_SELF_SIGNED_CERT')],
    ['anything else', new Error('?')],
  ])('is an agent that cannot be reached after %s', (_what, error) => expect(kind(error)).toBe('unreachable'));

  it('was never made when the address is refused or the request cannot be built', () => {
    expect(kind(new Unsafe())).toBe('unsafe');
    expect(kind(new errors.InvalidArgumentError('invalid path'))).toBe('unsafe');
  });

  it('is classified whatever was thrown', () =>
    fc.assert(fc.property(fc.anything({ withNullPrototype: true }), (thrown) => void expect(kind(thrown)).toBe('unreachable'))));
});

const whole = (text: string | Buffer) => readReply(Buffer.from(text), true);

describe('a reply', () => {
  it('is told from what is none', () => {
    expect(whole('{"a":1}')).toMatchObject({ isJson: true, json: { a: 1 } });
    for (const odd of ['', '<html>', '{"a":', '\0', Buffer.from([0xff, 0xfe])]) expect(whole(odd as string).isJson).toBe(false);
    expect(readReply(Buffer.from('{}'), false)).toMatchObject({ isJson: false, json: undefined, text: '{}' });
  });

  it.each([
    ['{"error":"no tokens left"}', 'no tokens left'],
    ['{"error":7}', 'Bad Gateway'],
    ['{"error":{"message":"x"}}', 'Bad Gateway'],
    ['{"error":null}', 'Bad Gateway'],
    ['[]', 'Bad Gateway'],
    ['<html>', 'Bad Gateway'],
    ['', 'Bad Gateway'],
    ['{"__proto__":{"error":"x"}}', 'Bad Gateway'],
  ])('of an error, %s, says %s', (body, text) => expect(errorOf(Buffer.from(body), true, 'Bad Gateway')).toBe(text));

  it('gives its first text', () => {
    const text = (json: unknown) => replyText(json, 'raw');
    expect(text({ result: { parts: [{ kind: 'file' }, { kind: 'text', text: 7 }, { kind: 'text', text: 'a' }] } })).toBe('a');
    expect(text({ result: { artifacts: [null, {}, { parts: [{ kind: 'text', text: 'b' }] }] } })).toBe('b');
    for (const odd of [null, 7, [], { result: { parts: 'text' } }, { result: { artifacts: [[]] } }])
      expect(text(odd)).toBe('raw');
  });

  it('gives its tool trace as JSON', () => {
    expect(toolTraceOf({ result: { metadata: { tool_trace: [{ tool: 'x' }] } } })).toBe('[{"tool":"x"}]');
    let deep: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    for (const odd of [null, { result: { metadata: { tool_trace: deep } } }, { result: { metadata: [] } }])
      expect(toolTraceOf(odd)).toBeNull();
  });

  it('crashes nothing, whatever it is', () =>
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), fc.boolean(), (bytes, isWhole) => {
        const reply = readReply(Buffer.from(bytes), isWhole);
        toolTraceOf(reply.json);
        replyText(reply.json, reply.text);
        errorOf(Buffer.from(bytes), isWhole, 'phrase');
      }),
    ));
});
