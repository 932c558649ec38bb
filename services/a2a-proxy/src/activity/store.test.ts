import { describe, expect, it } from 'vitest';
import type { ActivityRow } from './row.ts';
import { withoutLargeBodies } from './store.ts';

const row = (bodies: Partial<ActivityRow>): ActivityRow =>
  ({ id: 'a', request_body: '{}', response_body: null, tool_trace: null, body_bytes: 2, ...bodies }) as ActivityRow;
const large = JSON.stringify('x'.repeat(100_000));

describe('R6: a row without its large bodies', () => {
  it('is the very same if it has none', () => {
    for (const small of [row({}), row({ response_body: '1', tool_trace: '[]' })]) expect(withoutLargeBodies(small)).toBe(small);
  });

  it('keeps what is small, and says JSON null for what was there', () => {
    const all = row({ request_body: large, response_body: large, tool_trace: large, body_bytes: 300_000 });
    expect(withoutLargeBodies(all)).toEqual(row({ request_body: 'null', response_body: 'null', body_bytes: 8 }));
    expect(withoutLargeBodies(row({ response_body: large }))).toEqual(row({ response_body: 'null', body_bytes: 6 }));
  });
});
