import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { preview } from './preview.ts';
import { agentMessage, attachedFiles, LoggedBody, loggedRow, notifyRow } from './said.ts';
import { likePattern } from './search.ts';

const where = { id: 'i', workspaceId: 'w', atUs: 1_700_000_000_000_001 };

describe('a row that an agent logs', () => {
  const row = (body: object) => loggedRow(where, 'agent_log', LoggedBody.parse(body));

  it('is its own, and what it does not say is null', () =>
    expect(row({})).toEqual({
      id: 'i',
      workspace_id: 'w',
      activity_type: 'agent_log',
      source_kind: 'self',
      source_id: 'w',
      target_id: null,
      method: null,
      summary: null,
      request_body: null,
      response_body: null,
      tool_trace: null,
      duration_ms: null,
      status: 'ok',
      error_detail: null,
      created_us: where.atUs,
      body_bytes: 0,
    }));

  it('has null for empty texts', () =>
    expect(row({ method: '', summary: '', target_id: '', status: '', error_detail: '', request_body: null })).toEqual(row({})));

  it('takes the metadata where there is no request body', () => {
    expect(row({ metadata: { a: 1 } }).request_body).toBe('{"a":1}');
    expect(row({ metadata: { a: 1 }, request_body: null }).request_body).toBe('{"a":1}');
    expect(row({ metadata: { a: 1 }, request_body: false }).request_body).toBe('false');
  });
});

describe('the files of a message', () => {
  it('are as they were given, without what is empty', () =>
    expect(
      attachedFiles([
        { uri: 'workspace:/a', name: 'a', mimeType: '', size: 0 },
        { uri: 'u', name: 'n', mimeType: 'text/plain', size: 3 },
      ]),
    ).toEqual([
      { uri: 'workspace:/a', name: 'a' },
      { uri: 'u', name: 'n', mimeType: 'text/plain', size: 3 },
    ]));

  it.each([
    [
      [
        { uri: 'u', name: 'n' },
        { uri: '', name: 'n' },
      ],
      1,
    ],
    [[{ uri: 'u' }, {}], 0],
    [[{ name: 'n' }], 0],
    [[{ uri: 'u', name: null }], 0],
  ])('of %j lack something first at %i', (attachments, offending) => expect(attachedFiles(attachments)).toEqual({ offending }));
});

describe('a message for the chat', () => {
  it('is a row that the chat is rebuilt from', () => {
    expect(notifyRow(where, 'hi', [{ uri: 'u', name: 'n', size: 3 }])).toMatchObject({
      activity_type: 'a2a_receive',
      method: 'notify',
      source_id: null,
      target_id: null,
      request_body: null,
      duration_ms: null,
      status: 'ok',
      summary: 'Agent message: hi',
      response_body: '{"result":"hi","parts":[{"kind":"file","file":{"uri":"u","name":"n","size":3}}]}',
    });
    expect(notifyRow(where, 'hi', []).response_body).toBe('{"result":"hi"}');
  });

  it('is told whole, unless it is too large for the bus', () => {
    const files = [{ uri: 'u', name: 'n' }];
    expect(agentMessage(where, { name: 'w', message: 'hi', files }).payload).toEqual({
      message: 'hi',
      workspace_id: 'w',
      name: 'w',
      attachments: files,
    });
    const large = agentMessage(where, { name: 'w', message: '\u{1f600}'.repeat(500_000), files: Array(1_000).fill(files[0]) });
    expect(large.payload).toMatchObject({ truncated: true });
    expect(large.payload).not.toHaveProperty('attachments');
    expect(Buffer.byteLength(JSON.stringify(large))).toBeLessThan(48 * 1024);
  });
});

describe('a preview', () => {
  it.each([
    ['short', 5, 'short'],
    ['longer', 5, 'longe…'],
    ['aäöü', 4, 'aä…'],
    ['\u{1f600}x', 3, '…'],
  ])('of %j in %i bytes is %j', (text, bytes, expected) => expect(preview(text, bytes, '…')).toBe(expected));

  it('is a beginning of the text within its bytes', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, bytes) => {
        const cut = preview(text, bytes, '');
        expect(text.startsWith(cut)).toBe(true);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytes);
      }),
    ));
});

describe('a search', () => {
  it('takes the text as it is', () => expect(likePattern('50%_\\')).toBe('%50\\%\\_\\\\%'));
});
