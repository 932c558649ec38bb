/** `POST /workspaces/:id/activity` and `POST /workspaces/:id/notify`: what agents say of themselves (spec 2 §4.3, §4.4). */
import { isWorkspaceId, Refusal } from '@molecule/contracts';
import { auth, body, doc, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Parts } from '../parts.ts';
import { knownWorkspace } from '../workspace.ts';
import type { Keeper } from './keeper.ts';
import { AGENT_TYPES, attachedFiles, LoggedBody, loggedRow, NotifyBody } from './said.ts';

const INVALID = 'invalid request body';
/** Scripts look for the name of the field (spec README, choice 10). */
const TYPE_MISSING = { details: 'ActivityType is required' };
const INVALID_TYPE = `invalid activity_type, must be one of: ${AGENT_TYPES.join(', ')}`;
const SPOOFED = 'source_id must match authenticated workspace';
const NO_MESSAGE = 'message is required';

const activityDoc = doc({
  summary: 'Log what an agent did',
  description: 'Best effort: `logged` also for what could not be kept, such as activity of a workspace that is not there.',
  source: 'spec 2 §4.3',
  answers: { 200: { description: 'Taken', body: z.strictObject({ status: z.literal('logged') }) } },
  refusals: [
    ['invalid', INVALID],
    ['invalid', INVALID, TYPE_MISSING],
    ['invalid', INVALID_TYPE],
    ['forbidden', SPOOFED],
  ],
});

const notifyDoc = doc({
  summary: 'Show a message of the agent in the user’s chat',
  description:
    'Told as `AGENT_MESSAGE` and kept, so that the chat is the same after a reload. The body says `attachment[<i>]` of the first that lacks its URI or name.',
  source: 'spec 2 §4.4',
  answers: { 200: { description: 'Shown', body: z.strictObject({ status: z.literal('sent') }) } },
  refusals: [
    ['invalid', NO_MESSAGE],
    ['invalid', 'attachment[0]: uri and name are required'],
    ['not-found', 'workspace not found'],
  ],
});

export type SaidParts = Pick<Parts, 'directory' | 'log'> & { readonly keeper: Keeper };

export function saidRoutes(app: Hono<WithContext>, { directory, keeper }: SaidParts): void {
  app.post(
    '/workspaces/:id/activity',
    activityDoc,
    auth.workspace,
    body(LoggedBody, () => new Refusal('invalid', INVALID)),
    async (c) => {
      const said = c.req.valid('json');
      const type = said.activity_type;
      if (!type) throw new Refusal('invalid', INVALID, { body: TYPE_MISSING });
      if (!AGENT_TYPES.some((known) => known === type)) throw new Refusal('invalid', INVALID_TYPE);
      const id = c.req.param('id').toLowerCase();
      if (said.source_id && said.source_id.toLowerCase() !== id) {
        c.get('log').warn(
          { workspaceId: id, claimed: said.source_id.slice(0, 64) },
          'activity in the name of another was refused',
        );
        throw new Refusal('forbidden', SPOOFED);
      }
      const storable = isWorkspaceId(id) && (!said.target_id || isWorkspaceId(said.target_id));
      if (storable && (await knownWorkspace(directory, id)) !== undefined)
        await keeper.log(loggedRow(keeper.where(id), type, said));
      return json(c, { status: 'logged' });
    },
  );

  app.post(
    '/workspaces/:id/notify',
    notifyDoc,
    auth.workspace,
    body(NotifyBody, () => new Refusal('invalid', NO_MESSAGE)),
    async (c) => {
      const { message, attachments } = c.req.valid('json');
      const files = attachedFiles(attachments);
      if ('offending' in files) throw new Refusal('invalid', `attachment[${files.offending}]: uri and name are required`);
      const entry = await knownWorkspace(directory, c.req.param('id'));
      if (entry === undefined || entry.status === 'removed') throw new Refusal('not-found', 'workspace not found');
      await keeper.notify(entry, message, files);
      return json(c, { status: 'sent' });
    },
  );
}
