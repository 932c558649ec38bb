import { randomUUID } from 'node:crypto';
import { defineFacts, Refusal } from '@molecule/contracts';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { toStore } from './gate.ts';

const family = defineFacts({ 'note.taken': { schema: z.object({ text: z.string() }), audience: 'all' } });
const take = (text: string) =>
  toStore(
    { family, workspaceOf: () => 'platform' },
    'a',
    [{ type: 'note.taken', data: { text } }],
    { commandId: 'c' },
    randomUUID,
  );

it('G2: lets in what fits the bus, and refuses what does not', () => {
  expect(take('x'.repeat(59 * 1024))).toHaveLength(1);
  expect(() => take('x'.repeat(61 * 1024))).toThrow(Refusal);
  expect(() => take('é'.repeat(31 * 1024))).toThrow(
    expect.objectContaining({
      kind: 'too-large',
      message: 'request too large',
      cause: expect.objectContaining({ message: expect.stringMatching(/^note\.taken of \d+ bytes/) }),
    }),
  );
});
