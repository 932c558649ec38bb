import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectOf } from './github.ts';
import { isSigned } from './signature.ts';

const of = (event: string, payload: unknown) =>
  effectOf({
    event,
    deliveryId: 'd-1',
    body: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
  });
const from = { repository: { full_name: 'octo/repo' }, sender: { login: 'alice' }, workspace_id: 'w' };
const origin = (event: string, action: string) => ({
  source: 'github',
  event,
  action,
  delivery_id: 'd-1',
  repository: 'octo/repo',
  sender: 'alice',
});
const run = {
  id: 9_876_543_210,
  name: 'tests',
  run_number: 12,
  conclusion: 'failure',
  head_branch: 'main',
  head_sha: '0123456789abcdef',
  html_url: 'https://github.com/octo/repo/actions/runs/1',
  event: 'push',
};
const unsupported = { kind: 'ignored', reason: 'unsupported event type' };

describe('an event', () => {
  it.each([
    ['issues', 'opened', ['pick-up-work']],
    ['pull_request_review', 'submitted', ['pr review', 'security review']],
  ])('%s makes schedules due when it is %s', (event, action, nameContains) =>
    expect(of(event, { action, more: [1] })).toEqual({ kind: 'trigger', event, action, nameContains }),
  );

  it.each(['issues', 'pull_request_review'])('%s of another action does not', (event) => {
    const wanted = event === 'issues' ? 'opened' : 'submitted';
    const ignored = { kind: 'ignored', reason: `only ${event} action=${wanted} triggers crons` };
    for (const payload of [{ action: 'closed' }, { action: 'OPENED' }, {}, { action: null }])
      expect(of(event, payload)).toEqual(ignored);
  });

  it.each([
    ['issue_comment', 'issue', 'issue_number'],
    ['pull_request_review_comment', 'pull_request', 'pull_request_num'],
  ])('%s is a message', (event, on, named) => {
    const comment = { body: '\n  look here \n', html_url: 'https://github.com/c' };
    const payload = { ...from, action: 'created', [on]: { number: 7 }, comment };
    expect(of(event, payload)).toEqual({
      kind: 'message',
      workspaceId: 'w',
      text: `GitHub ${event} created on octo/repo#7 by alice\nlook here`,
      metadata: { ...origin(event, 'created'), [named]: 7, comment_url: 'https://github.com/c' },
    });
    expect(of(event, { ...payload, action: 'edited' })).toEqual(unsupported);
  });

  it('workflow_run is one when it went wrong', () => {
    const payload = { ...from, action: 'completed', workflow_run: run };
    expect(of('workflow_run', payload)).toEqual({
      kind: 'message',
      workspaceId: 'w',
      text: 'CI: tests run #12 ended with failure\non main@0123456 of octo/repo, by alice (push)\nhttps://github.com/octo/repo/actions/runs/1',
      metadata: {
        ...origin('workflow_run', 'completed'),
        workflow_name: 'tests',
        run_id: 9_876_543_210,
        run_number: 12,
        conclusion: 'failure',
        head_branch: 'main',
        head_sha: '0123456789abcdef',
        run_url: run.html_url,
        trigger_event: 'push',
      },
    });
    for (const conclusion of ['success', 'skipped', 'neutral'])
      expect(of('workflow_run', { ...payload, workflow_run: { ...run, conclusion } })).toEqual(unsupported);
    for (const conclusion of ['cancelled', 'timed_out', 'action_required'])
      expect(of('workflow_run', { ...payload, workflow_run: { ...run, conclusion } }).kind).toBe('message');
    expect(of('workflow_run', { ...payload, action: 'requested' })).toEqual(unsupported);
  });

  it.each(['ping', 'push', '', '__proto__'])('%j is nothing to us, whatever it holds', (event) =>
    expect(of(event, 'no json')).toEqual(unsupported),
  );

  it('of which parts are missing has empty ones', () =>
    expect(of('issue_comment', { action: 'created', issue: null })).toEqual({
      kind: 'message',
      workspaceId: '',
      text: 'GitHub issue_comment created on #0 by \n',
      metadata: { ...origin('issue_comment', 'created'), repository: '', sender: '', issue_number: 0, comment_url: '' },
    }));

  it.each(['issues', 'pull_request_review', 'issue_comment', 'pull_request_review_comment', 'workflow_run'])(
    '%s is invalid when it is not what GitHub sends',
    (event) => {
      const invalid = { kind: 'invalid', error: `invalid ${event} payload` };
      for (const payload of ['', '{', '[]', 'null', '1', { action: 1 }, '\xff']) expect(of(event, payload)).toEqual(invalid);
    },
  );

  it('is always something, whatever came', () =>
    fc.assert(
      fc.property(fc.constantFrom('issues', 'issue_comment', 'workflow_run'), fc.json(), (event, payload) => {
        expect(['trigger', 'message', 'ignored', 'invalid']).toContain(of(event, payload).kind);
      }),
    ));
});

describe('a signature', () => {
  /** The example of GitHub's own documentation. */
  const body = Buffer.from('Hello, World!');
  const secret = "It's a Secret to Everybody";
  const good = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

  it('is that of the secret over the very bytes', () => {
    expect(isSigned(body, good, secret)).toBe(true);
    expect(isSigned(Buffer.from('Hello, World?'), good, secret)).toBe(false);
    expect(isSigned(body, good, `${secret}!`)).toBe(false);
  });

  it.each([
    undefined,
    '',
    'sha256=',
    good.slice(7),
    `sha1=${good.slice(7)}`,
    `${good}00`,
    good.slice(0, -1),
    `sha256=${'z'.repeat(64)}`,
  ])('is not %j', (header) => expect(isSigned(body, header, secret)).toBe(false));

  it('without a secret is none', () => expect(isSigned(body, good, '')).toBe(false));
});
