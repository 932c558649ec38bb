import { describe, expect, it } from 'vitest';
import { type Answer, answers } from '../call/answer.ts';
import { isUndelivered, outcomeOf } from './outcome.ts';
import { endingOf, resultRow, taskPreview } from './rows.ts';

const agent = (status: number, body: string): Answer => ({ status, body: Buffer.from(body), error: null });
const reply = '{"result":{"parts":[{"kind":"text","text":"done"}]}}';

describe('what an answer means for a delegation, and whether it is tried again', () => {
  const failed = (error: string) => ({ outcome: 'failed', error });
  it.each<[string, Answer, object, boolean]>([
    ['a reply', agent(200, reply), { outcome: 'completed', text: 'done' }, false],
    ['a reply that is no JSON', agent(200, 'plain'), { outcome: 'completed', text: 'plain' }, false],
    ['our queue', answers.queued('w', 'q', 3), { outcome: 'queued', queueId: 'q' }, false],
    ['a queue of the agent', agent(202, '{"queued":true}'), { outcome: 'queued', queueId: null }, false],
    ['202 with queued as text', agent(202, '{"queued":"true"}'), { outcome: 'completed', text: '{"queued":"true"}' }, false],
    ['202 with queued false', agent(202, '{"queued":false}'), { outcome: 'completed', text: '{"queued":false}' }, false],
    ['200 with queued', agent(200, '{"queued":true}'), { outcome: 'completed', text: '{"queued":true}' }, false],
    ['unreachable', answers.unreachable, failed('failed to reach workspace agent'), true],
    ['not routable', answers.notRoutable, failed('workspace URL is not publicly routable'), true],
    ['a 502 of the agent', answers.upstreamError(502, 'Bad Gateway'), failed('Bad Gateway'), true],
    ['a reply that broke off, not delivered', answers.unreadReply(false), failed('failed to read agent response'), true],
    ['a reply that broke off, delivered', answers.unreadReply(true), failed('failed to read agent response'), false],
    [
      'a container that is restarted',
      answers.restarting,
      failed('workspace agent unreachable — container restart triggered'),
      true,
    ],
    ['busy', answers.busy, failed('workspace agent busy — retry after a short backoff'), false],
    ['a native session', answers.nativeSession, failed('workspace agent busy — adapter handles retry (native_session)'), false],
    ['asleep', answers.waking, failed('workspace is waking from hibernation — retry in ~15 seconds'), false],
    ['no address', answers.noUrl('offline'), failed('workspace has no URL'), false],
    ['a full mailbox', answers.mailboxFull(2, 2), failed('workspace mailbox is full — retry after a short backoff'), false],
    ['no access', answers.accessDenied, failed('access denied: workspaces cannot communicate per hierarchy rules'), false],
    ['over budget', answers.overBudget, failed('workspace budget limit exceeded'), false],
    ['not found', answers.notFound, failed('workspace not found'), false],
    ['a 500', answers.upstreamError(500, 'cannot'), failed('cannot'), false],
    ['a 504', answers.upstreamError(504, ''), failed('HTTP 504'), false],
    ['a 503 of the agent', answers.upstreamError(503, 'Service Unavailable'), failed('Service Unavailable'), false],
    ['cut off by our own stop', answers.interrupted, failed('interrupted'), false],
    ['the platform cannot look', answers.unavailable, { outcome: 'not-now' }, false],
    ['dispatched already, and not ended', answers.inProgress, { outcome: 'known' }, false],
    ['dispatched already, and ended', answers.recorded(502, 'x'), { outcome: 'known' }, true],
  ])('%s', (_name, answer, outcome, again) => {
    expect(outcomeOf(answer)).toEqual(outcome);
    expect(isUndelivered(answer)).toBe(again);
  });
});

describe('texts', () => {
  it('are cut on a boundary of characters', () => {
    expect(taskPreview('x'.repeat(100))).toBe('x'.repeat(100));
    expect(taskPreview('€'.repeat(34))).toBe(`${'€'.repeat(33)}...`);
    expect(endingOf({ outcome: 'completed', text: 'é'.repeat(101) })).toEqual({
      outcome: 'completed',
      responsePreview: `${'é'.repeat(100)}...`,
    });
    expect(endingOf({ outcome: 'failed', error: 'e'.repeat(3_000) })).toEqual({
      outcome: 'failed',
      error: `${'e'.repeat(2_000)}...`,
    });
  });
  it('hold nothing that the database cannot', () => {
    const row = resultRow({ id: 'i', atUs: 1 }, { delegationId: 'd', workspaceId: 'w' as never }, null, {
      outcome: 'completed',
      text: 'a\0b\ud800',
    });
    expect(row.summary).toBe('Delegation completed (ab\ufffd)');
    expect(JSON.parse(row.response_body ?? '')).toEqual({ text: 'ab\ufffd', delegation_id: 'd' });
  });
});
