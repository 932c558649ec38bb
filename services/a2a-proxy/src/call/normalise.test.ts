import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compact } from './json-text.ts';
import { normalise } from './normalise.ts';

const ID = '11111111-2222-4333-8444-555555555555';
const normal = (text: string) => normalise(Buffer.from(text), () => ID);
const parsed = (text: string) => JSON.parse(normal(text)?.text ?? 'null');

describe('normalising a body', () => {
  it.each(['', ' ', 'nonsense', '[]', '[{"jsonrpc":"2.0"}]', '"text"', '7', 'null', 'true', '{"a":', '{"a":1}x', '\uFEFF{}'])(
    'refuses %j: it is no JSON object',
    (text) => expect(normal(text)).toBeNull(),
  );

  it('refuses bytes that are no UTF-8', () =>
    expect(normalise(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), () => ID)).toBeNull());

  it('passes a complete request byte for byte', () => {
    const bytes = Buffer.from(' {"jsonrpc": "2.0", "params":{"message":{"messageId":"m"}}, "method":"message/send"} ');
    const known = { method: 'message/send', messageId: 'm', delegationId: null };
    expect(normalise(bytes, () => ID)).toEqual({ text: bytes.toString(), bytes, ...known });
  });

  it('finds the delegation that a message says it is part of, if it is some text', () => {
    const delegationOf = (metadata: unknown) =>
      normalise(Buffer.from(JSON.stringify({ params: { message: { metadata } } })), () => ID)?.delegationId;
    expect(delegationOf({ delegation_id: 'd' })).toBe('d');
    for (const none of [undefined, null, 'd', [], {}, { delegation_id: '' }, { delegation_id: 7 }])
      expect(delegationOf(none)).toBeNull();
  });

  it('gives a bare request its envelope, and drops what else is there', () =>
    expect(parsed('{"method":"message/send","params":{"a":1},"extra":true}')).toEqual({
      jsonrpc: '2.0',
      id: ID,
      method: 'message/send',
      params: { a: 1 },
    }));

  it('writes null for the method and the params of an empty one', () =>
    expect(normal('{}')?.text).toBe(`{"jsonrpc":"2.0","id":"${ID}","method":null,"params":null}`));

  it('keeps an envelope as it is, also with an id of its own or none', () => {
    expect(normal('{"jsonrpc":null}')?.bytes?.toString()).toBe('{"jsonrpc":null}');
    expect(normal('{"jsonrpc":"2.0","id":9007199254740993}')?.text).toBe('{"jsonrpc":"2.0","id":9007199254740993}');
  });

  it('adds the id that a message lacks, and nothing else', () =>
    expect(normal('{"jsonrpc":"2.0", "n": 1e400, "params":{"message":{ "parts":[] }}}')).toMatchObject({
      text: `{"jsonrpc":"2.0", "n": 1e400, "params":{"message":{"messageId":"${ID}", "parts":[] }}}`,
      bytes: null,
      messageId: ID,
    }));

  it.each(['null', '""', '7'])('never overwrites the id %s', (id) => {
    const text = `{"jsonrpc":"2.0","params":{"message":{"messageId":${id}}}}`;
    expect(normal(text)).toMatchObject({ text, messageId: null });
  });

  it.each(['"text"', '[]', 'null', '{"message":"text"}', '{"message":[]}'])('adds nothing to the params %s', (params) => {
    const text = `{"jsonrpc":"2.0","params":${params}}`;
    expect(normal(text)?.text).toBe(text);
  });

  it('finds keys that are written with escapes, twice, or on the prototype', () => {
    expect(parsed('{"jsonrpc":"2.0","par\\u0061ms":{"message":{}}}').params.message).toEqual({ messageId: ID });
    expect(parsed('{"jsonrpc":"2.0","params":{"message":{"a":"}{"}},"params":{"message":{"b":1}}}').params.message).toEqual({
      messageId: ID,
      b: 1,
    });
    expect(parsed('{"__proto__":{"jsonrpc":"2.0","params":{"message":{}}},"constructor":1}')).toEqual({
      jsonrpc: '2.0',
      id: ID,
      method: null,
      params: null,
    });
  });

  it('is not overflowed by depth', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(normal(`{"params":{"message":{"parts":${deep}}}}`)?.messageId).toBe(ID);
  });

  it('names the method only if it is text', () => {
    expect(normal('{"method":7}')?.method).toBe('');
    expect(normal('{"method":"x"}')?.method).toBe('x');
  });

  it('says the same as rebuilding the object would, whatever the request', () =>
    fc.assert(
      fc.property(requests, fc.boolean(), (request, spaced) => {
        const text = spaced ? JSON.stringify(request, null, ' \t') : JSON.stringify(request);
        expect(parsed(text)).toEqual(rebuilt(JSON.parse(text)));
      }),
      { numRuns: 500 },
    ));

  it('never throws, whatever the bytes', () =>
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        normalise(Buffer.from(bytes), () => ID);
      }),
    ));
});

describe('compacting JSON', () => {
  it('is what JSON.stringify says, and leaves digits and escapes alone', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        expect(compact(JSON.stringify(value, null, '\t'))).toBe(JSON.stringify(value));
      }),
    );
    expect(compact(' [ 1e400 , "\\u0000 \\" , " ]\n')).toBe('[1e400,"\\u0000 \\" , "]');
  });
});

const anything = fc.jsonValue({ maxDepth: 3 });
// No key that is a lone backslash: having read one, V8's JSON.parse takes a later key `"` for it.
const messages = fc.oneof(anything, fc.dictionary(fc.constantFrom('messageId', 'parts', 'role', '"', '\\}', '}'), anything));
const params = fc.oneof(anything, fc.record({ message: messages, message2: anything }, { requiredKeys: [] }));
const requests = fc.record({ other: anything, params, jsonrpc: anything, method: anything, id: anything }, { requiredKeys: [] });

/** What the specification asks for, written on objects. */
function rebuilt(request: Record<string, unknown>): unknown {
  const whole: Record<string, unknown> = Object.hasOwn(request, 'jsonrpc')
    ? request
    : { jsonrpc: '2.0', id: ID, method: request['method'] ?? null, params: request['params'] ?? null };
  const message = (whole['params'] as { message?: unknown } | null | undefined)?.message;
  if (typeof message === 'object' && message !== null && !Array.isArray(message) && !Object.hasOwn(message, 'messageId'))
    (message as Record<string, unknown>)['messageId'] = ID;
  return whole;
}
