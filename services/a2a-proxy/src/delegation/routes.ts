/** Delegations over HTTP (spec 2 §3). */
import { isWorkspaceId, platformUnavailable, Refusal, type WorkspaceId } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { auth, body, doc, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import { storable } from '../activity/row.ts';
import { orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { knownWorkspace } from '../workspace.ts';
import type { DelegationBook, Kept } from './book.ts';
import { delegationsOf } from './list.ts';
import type { DelegationRunner } from './runner.ts';
import { isDelegationId, MAX_DELEGATION_ID } from './waits.ts';

const INVALID_DELEGATION = 'invalid delegation request';
const INVALID_TARGET = 'target_id must be a valid UUID';
const SELF = 'self-delegation not permitted';
const TOO_MANY = 'too many delegations of this workspace wait to be begun — retry later';
const RETRY_AFTER_SECONDS = 30;
const UNTRACKED = 'delegation dispatched but status tracking unavailable';
const INVALID_BODY = 'invalid request body';
const NOT_RECORDED = 'failed to record delegation';
const INVALID_STATUS = "status must be 'completed' or 'failed'";

const some = z.string().min(1);
const text = z.string().nullish();

const DelegateBody = z.object({ target_id: some, task: some, idempotency_key: text });
const RecordBody = z.object({ target_id: some, task: some, delegation_id: some.max(MAX_DELEGATION_ID).refine(isDelegationId) });
const UpdateBody = z.object({ status: some, error: text, response_preview: text });

const Status = z.enum(['pending', 'dispatched', 'queued', 'completed', 'failed']);

const delegateDoc = doc({
  summary: 'Give another workspace a task, and do not wait for it',
  description:
    'The call is made in the background. Whether the target exists, and may be called, shows in what becomes of the delegation. With `idempotency_key` a delegation is made once, unless it failed. `warning` says that nobody will be told what becomes of it.',
  source: 'spec 2 §3.1',
  answers: {
    200: {
      description: 'There is one with that key.',
      body: z.strictObject({
        delegation_id: z.string(),
        status: Status,
        target_id: z.string(),
        idempotent_hit: z.literal(true),
      }),
    },
    202: {
      description: 'Accepted',
      body: z.strictObject({
        delegation_id: z.string(),
        status: z.literal('delegated'),
        target_id: z.string(),
        warning: z.literal(UNTRACKED).optional(),
      }),
    },
  },
  refusals: [
    ['invalid', INVALID_DELEGATION],
    ['invalid', INVALID_TARGET],
    ['invalid', SELF],
    ['too-many', TOO_MANY, { retry_after: RETRY_AFTER_SECONDS }],
  ],
});

const recordDoc = doc({
  summary: 'Tell of a task that an agent gives another itself',
  description: 'No call is made. If the message names `delegation_id` in its metadata and has to wait, its end is told here too.',
  source: 'spec 2 §3.3',
  answers: {
    202: { description: 'Recorded', body: z.strictObject({ delegation_id: z.string(), status: z.literal('recorded') }) },
  },
  refusals: [
    ['invalid', INVALID_BODY],
    ['invalid', INVALID_TARGET],
    ['failed', NOT_RECORDED],
  ],
});

const updateDoc = doc({
  summary: 'Tell how a task ended',
  description: 'The first end of a delegation counts; what is told later changes nothing.',
  source: 'spec 2 §3.4',
  answers: {
    200: {
      description: 'Taken, also for what is not known.',
      body: z.strictObject({ status: z.enum(['completed', 'failed']), delegation_id: z.string() }),
    },
  },
  refusals: [
    ['invalid', INVALID_BODY],
    ['invalid', INVALID_STATUS],
  ],
});

const listDoc = doc({
  summary: 'List the tasks that a workspace gave others',
  description: 'The newest 50 rows; a delegation has one of its request, and one of its result once that is known.',
  source: 'spec 2 §3.5',
  answers: {
    200: {
      description: 'The newest first.',
      body: z.array(
        z.strictObject({
          id: z.string(),
          type: z.literal('delegation'),
          source_id: z.string(),
          target_id: z.string(),
          summary: z.string(),
          status: z.string(),
          created_at: z.iso.datetime(),
          delegation_id: z.string().optional(),
          error: z.string().optional(),
          response_preview: z.string().optional(),
        }),
      ),
    },
  },
  refusals: [['failed', 'query failed']],
});

export interface DelegationRouteParts extends Pick<Parts, 'ledger' | 'directory'> {
  readonly book: DelegationBook;
  readonly runner: DelegationRunner;
}

export function delegationRoutes(app: Hono<WithContext>, { ledger, directory, book, runner }: DelegationRouteParts): void {
  /** Nothing is kept of a workspace that is not there. */
  const isKnown = async (id: string): Promise<boolean> => (await knownWorkspace(directory, id)) !== undefined;

  app.post(
    '/workspaces/:id/delegate',
    delegateDoc,
    auth.workspace,
    body(DelegateBody, () => new Refusal('invalid', INVALID_DELEGATION)),
    async (c) => {
      const { target_id, task, idempotency_key } = c.req.valid('json');
      const workspaceId = c.req.param('id').toLowerCase() as WorkspaceId;
      const targetId = target_id.toLowerCase() as WorkspaceId;
      if (!isWorkspaceId(targetId)) throw new Refusal('invalid', INVALID_TARGET);
      if (targetId === workspaceId) throw new Refusal('invalid', SELF);
      const asked = { workspaceId, targetId, task, key: idempotency_key || null };
      const job = await book.draft(asked);
      const accepted = { delegation_id: job.about.delegationId, status: 'delegated', target_id };
      let kept: Kept;
      try {
        if (!(await isKnown(workspaceId))) throw new Error('there is no such workspace');
        kept = await book.send(asked, job);
      } catch (error) {
        c.get('log').warn({ err: error, delegationId: job.about.delegationId }, 'a delegation could not be kept');
        if (!runner.startUntracked(job)) throw platformUnavailable(error);
        return json(c, { ...accepted, warning: UNTRACKED }, 202);
      }
      switch (kept.kind) {
        case 'sent':
          runner.start(kept.job); // else it is begun as room comes
          return json(c, accepted, 202);
        case 'hit':
          return json(c, { delegation_id: kept.delegationId, status: kept.status, target_id, idempotent_hit: true });
        case 'full':
          throw new Refusal('too-many', TOO_MANY, {
            body: { retry_after: RETRY_AFTER_SECONDS },
            headers: { 'Retry-After': `${RETRY_AFTER_SECONDS}` },
          });
      }
    },
  );

  app.post(
    '/workspaces/:id/delegations/record',
    recordDoc,
    auth.workspace,
    body(RecordBody, () => new Refusal('invalid', INVALID_BODY)),
    async (c) => {
      const { target_id, task, delegation_id } = c.req.valid('json');
      const workspaceId = c.req.param('id').toLowerCase() as WorkspaceId;
      const targetId = target_id.toLowerCase() as WorkspaceId;
      if (!isWorkspaceId(targetId)) throw new Refusal('invalid', INVALID_TARGET);
      try {
        if (!(await isKnown(workspaceId))) throw new Error('there is no such workspace');
        await book.record({ workspaceId, targetId, task }, delegation_id);
      } catch (error) {
        c.get('log').warn({ err: error }, 'a delegation could not be recorded');
        throw new Refusal('failed', NOT_RECORDED, { cause: error });
      }
      return json(c, { delegation_id, status: 'recorded' }, 202);
    },
  );

  app.post(
    '/workspaces/:id/delegations/:delegation_id/update',
    updateDoc,
    auth.workspace,
    body(UpdateBody, () => new Refusal('invalid', INVALID_BODY)),
    async (c) => {
      const { status, error, response_preview } = c.req.valid('json');
      if (status !== 'completed' && status !== 'failed') throw new Refusal('invalid', INVALID_STATUS);
      const delegationId = c.req.param('delegation_id');
      const workspaceId = c.req.param('id').toLowerCase() as WorkspaceId;
      const told =
        status === 'completed'
          ? ({ outcome: 'completed', text: response_preview ?? '' } as const)
          : ({ outcome: 'failed', error: error ?? '' } as const);
      try {
        if (isDelegationId(delegationId) && (await isKnown(workspaceId)))
          await book.tell(workspaceId, storable(delegationId), told, error ?? '');
      } catch (cause) {
        throw isUnavailable(cause) ? platformUnavailable(cause) : cause;
      }
      return json(c, { status, delegation_id: delegationId });
    },
  );

  app.get('/workspaces/:id/delegations', listDoc, auth.workspace, async (c) => {
    const id = c.req.param('id').toLowerCase();
    if (!isWorkspaceId(id)) throw new Refusal('failed', 'query failed');
    return json(c, await orFail(c, 'query failed', () => delegationsOf(ledger.db, id)));
  });
}
