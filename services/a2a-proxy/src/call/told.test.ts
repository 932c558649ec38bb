import { randomUUID } from 'node:crypto';
import { CANVAS_EVENTS, type LiveEvent, WorkspaceId } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { activityLogged, answeredRow, failedRow, type Written } from '../activity/row.ts';
import { readReply } from './classify.ts';
import { a2aResponse } from './told.ts';

const workspaceId = WorkspaceId.parse(randomUUID());
const written = (callerId: WorkspaceId | null) =>
  ({
    id: randomUUID(),
    envelope: { workspaceId, callerId, source: callerId === null ? 'canvas' : 'workspace', method: 'message/send' },
    name: 'atlas',
    request: '{}',
    durationMs: 12,
    createdUs: 1_700_000_000_000_000,
  }) as Written;
const answered = { response: '{}', toolTrace: '[{"tool":"x"}]', upstreamStatus: 200 };
const respond = (body: string) =>
  a2aResponse(workspaceId, readReply(Buffer.from(body), true), { method: 'message/send', durationMs: 12, at: new Date() });

describe('what canvases are told of a call', () => {
  it.each<[string, LiveEvent]>([
    ['an answer', respond('{"jsonrpc":"2.0","result":{"parts":[]}}')],
    ['a long answer', respond(JSON.stringify({ result: 'x'.repeat(100_000) }))],
    ['an answer that is no JSON', respond('<html>')],
    ['the activity of an answer', activityLogged(answeredRow(written(null), answered))],
    ['the activity between two workspaces', activityLogged(answeredRow(written(workspaceId), answered))],
    ['the activity of a failure', activityLogged(failedRow(written(null), 'connection reset'))],
  ])('of %s is what the catalogue of events says', (_, { event, payload }) => {
    const contract = CANVAS_EVENTS[event];
    expect(contract.kind).toBe('live');
    expect(contract.payload.parse(payload)).toEqual(payload);
  });
});
