/** What clients send by mistake or on purpose, kept in one place so that every route meets all of it. */

/** Arrays in each other. */
export const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

/** What is no JSON object that we take, by what it is. */
export const NO_OBJECT: Readonly<Record<string, string | Buffer>> = {
  'nothing at all': '',
  'a space': ' ',
  'half an object': '{"name":',
  'more than an object': '{} {}',
  null: 'null',
  'an array': '[]',
  'a text': '"name"',
  'a number': '42',
  'a NUL': '\0',
  'what is not UTF-8': Buffer.from('{"name":"\xff\xfe"}', 'latin1'),
  'half a surrogate pair': '{"name":"\\ud800","workspace_id":"\\ud800"}',
  'a text with a NUL': '{"name":"a\\u0000b"}',
  '100,000 arrays in each other': deep(100_000),
  '50,000 objects in each other': '{"a":'.repeat(50_000),
  'a form': 'name=atlas&tier=2',
  'more than a route reads': JSON.stringify({ name: 'x'.repeat(2 * 1024 * 1024) }),
};
/** Members from nowhere, which are none: what is required is still missing. */
export const EMPTY_OBJECTS: Readonly<Record<string, string>> = {
  'an empty object': '{}',
  'a prototype': '{"__proto__":{"name":"x","id":"x","url":"x","prompt":"x","workspace_id":"x","caller_id":"x"}}',
  'a constructor': '{"constructor":{"prototype":{"name":"x","id":"x","prompt":"x"}},"name":null}',
};
/** What stands where an id should, as it is written in a path. */
export const ODD_IDS = [
  ...[
    'x',
    '0',
    'null',
    '00000000-0000-0000-0000',
    '__proto__',
    'constructor',
    '%',
    '%zz',
    '%00',
    '%ff',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
  ],
  ...['..%2f..%2fadmin%2faudit', "'%20or%20'1'='1", '*', '{}', '%E2%82%AC', 'a'.repeat(4_000)],
];
