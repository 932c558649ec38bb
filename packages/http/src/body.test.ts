import { Refusal } from '@molecule/contracts';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { serviceApp } from './app.ts';
import { body, parseBody, parseJson } from './body.ts';
import { json } from './problems.ts';
import { recordingLog } from './testing.ts';

const Thing = z.object({
  name: z.string().min(1),
  size: z.number().int().nullish(),
  data: z.record(z.string(), z.json()).optional(),
});
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('B1: parsing untrusted JSON', () => {
  it.each(['{"a":1}', ' [1]\n', '"x"', 'null', 'true', '1', '{"a":"\\u00e9\\ud83d\\ude00"}', '"\\\\u0000"', nested(200)])(
    'takes %j',
    (text) => {
      expect(parseJson(text)).toEqual(JSON.parse(text));
      expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
    },
  );

  it.each(['', ' ', '{', '{"a":1', "{'a':1}", 'undefined', 'NaN', '{"a":1}}', '\u0000', '{a:1}', '[1,]', '"\u0001"'])(
    'refuses %j',
    (text) => {
      expect(parseJson(text)).toBeUndefined();
    },
  );

  it.each(['"\\u0000"', '{"a":["\\ud800"]}', '{"\\u0000":1}', '{"a":{"b":"x\\udc00"}}'])(
    'refuses %s, which cannot be stored',
    (text) => {
      expect(parseJson(text)).toBeUndefined();
    },
  );

  it('refuses what is not UTF-8', () => {
    expect(parseJson(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined();
    expect(parseJson(Buffer.from('"\ud800"', 'utf16le'))).toBeUndefined();
  });

  it.each([201, 10_000, 1_000_000])('refuses a nesting of %d', (depth) => {
    expect(parseJson(nested(depth))).toBeUndefined();
    expect(parseJson('{"a":'.repeat(depth))).toBeUndefined();
  });

  it('counts no brackets inside strings', () => {
    const text = JSON.stringify({ a: `\\"${'['.repeat(10_000)}\\`, b: ['[', '\\'] });
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it('keeps prototype keys from meaning anything', () => {
    const parsed = parseBody(
      Thing,
      '{"name":"x","__proto__":{"size":7},"constructor":{"prototype":{"size":7}},"data":{"__proto__":{"a":1},"ok":1}}',
    );
    expect(parsed).toMatchObject({ ok: true, value: { name: 'x' } });
    if (!parsed.ok) return;
    expect(parsed.value.size).toBeUndefined();
    expect(Object.keys(parsed.value)).toEqual(['name', 'data']);
    expect(Object.getPrototypeOf(parsed.value)).toBe(Object.prototype);
    expect((parsed.value.data as Record<string, unknown>)['a']).toBeUndefined();
    expect(({} as Record<string, unknown>)['size']).toBeUndefined();
  });

  it.each([
    '{"name":"x","size":1.5}',
    '{"name":"x","size":1e400}',
    '{"name":"x","size":"1"}',
    '{"name":""}',
    '{"size":1}',
    '[]',
    'null',
  ])('says that %s does not fit', (text) => {
    expect(parseBody(Thing, text)).toMatchObject({ ok: false, problem: { kind: 'mismatch' } });
  });
});

describe('a route with a body', () => {
  const { log } = recordingLog();
  const refusal = () => new Refusal('invalid', 'invalid request body');
  const app = serviceApp(log)
    .post('/things', body(Thing, refusal), (c) => json(c, c.req.valid('json'), 201))
    .post(
      '/small',
      body(Thing, (problem) => new Refusal(problem.kind === 'too-large' ? 'too-large' : 'invalid', problem.kind), {
        maxBytes: 20,
      }),
      (c) => json(c, 'small'),
    )
    .post('/optional', body(z.object({ name: z.string().optional() }), refusal, { empty: {} }), (c) =>
      json(c, c.req.valid('json')),
    );
  const post = async (path: string, text: string | Uint8Array<ArrayBuffer>, headers = {}) => {
    const response = await app.request(path, { method: 'POST', body: text, headers });
    return [response.status, await response.text()];
  };

  it.each([{}, { 'content-type': 'text/plain' }, { 'content-type': 'application/x-www-form-urlencoded' }])(
    'takes JSON whatever %j says',
    async (headers) => {
      expect(await post('/things', '{"name":"x","size":null,"more":1}', headers)).toEqual([201, '{"name":"x","size":null}']);
    },
  );

  it.each(['', 'x', '{}', '{"name":7}', '{"name":"\\u0000"}', nested(100_000)])(
    "answers the route's 400 to %.20j",
    async (text) => {
      expect(await post('/things', text)).toEqual([400, '{"error":"invalid request body"}']);
    },
  );

  it('bounds the size', async () => {
    expect(await post('/small', '{"name":"x"}')).toEqual([200, '"small"']);
    expect(await post('/small', `{"name":"${'x'.repeat(20)}"}`)).toEqual([413, '{"error":"too-large"}']);
    expect(await post('/things', `{"name":"${'x'.repeat(1024 * 1024)}"}`)).toEqual([400, '{"error":"invalid request body"}']);
  });

  it('may do without a body where the route says so', async () => {
    expect(await post('/optional', '')).toEqual([200, '{}']);
    expect(await post('/optional', 'x')).toEqual([400, '{"error":"invalid request body"}']);
  });

  it('works in an app that is mounted', async () => {
    const parent = serviceApp(log).route('/', new Hono().route('/nested', app));
    const response = await parent.request('/nested/things', { method: 'POST', body: '{"name":"x"}' });
    expect(response.status).toBe(201);
  });
});
