/** What the reference documents say of the routes of workspaces and agents: `routes.ts`, `agent-routes.ts` and `event-routes.ts`. */
import { doc } from '@molecule/http';
import { z } from 'zod';
import { asOfQuery, INVALID_AS_OF, notForThePast } from '../http.ts';
import {
  Access,
  ConfirmationRequired,
  CreatedWorkspace,
  Deleted,
  Discovered,
  ListedWorkspace,
  Patched,
  Peer,
  Registered,
  SingleWorkspace,
  StructureEvents,
  Updated,
  WorkspacePatch,
} from './shapes.ts';

export const workspaceDocs = {
  list: doc({
    summary: 'List every workspace that is not removed, oldest first',
    source: 'spec 1 §1.2',
    answers: { 200: { description: 'The workspaces', body: z.array(ListedWorkspace) } },
    refusals: [
      ['invalid', INVALID_AS_OF],
      ['failed', 'query failed'],
    ],
    query: asOfQuery,
  }),
  create: doc({
    summary: 'Create a workspace, and start its runtime',
    description: 'Answered before the runtime runs. The token of an external one is shown here and never again.',
    source: 'spec 1 §1.4',
    answers: { 201: { description: 'Created', body: CreatedWorkspace } },
    refusals: [
      ['invalid', 'invalid workspace payload'],
      ['invalid', 'invalid workspace fields'],
      ['invalid', 'invalid template'],
      ['invalid', 'invalid workspace directory'],
      ['invalid', 'invalid workspace access'],
      ['failed', 'failed to create workspace'],
      ['failed', 'failed to encrypt secret: <KEY>'],
      ['failed', 'failed to save secret: <KEY>'],
    ],
  }),
  read: doc({
    summary: 'Read a workspace, without what is nobody’s business',
    description: 'Also a removed one, until it is purged. In production mode it wants a credential.',
    source: 'spec 1 §1.3',
    answers: { 200: { description: 'The workspace', body: SingleWorkspace } },
    refusals: [
      ['invalid', 'invalid workspace ID'],
      ['invalid', INVALID_AS_OF],
      ...notForThePast,
      ['not-found', 'workspace not found'],
      ['failed', 'query failed'],
    ],
    query: asOfQuery,
  }),
  patch: doc({
    summary: 'Change a workspace',
    description:
      'Each known key is applied by itself; a value that cannot be stored is passed over, and everything else is ignored.',
    source: 'spec 1 §1.5',
    body: WorkspacePatch,
    answers: { 200: { description: 'Changed; `needs_restart` where the directory was in the body', body: Patched } },
    refusals: [
      ['invalid', 'invalid workspace ID'],
      ['invalid', 'invalid request body'],
      ['invalid', '<field> must not contain newline characters'],
      ['invalid', '<field> contains invalid characters'],
      ['invalid', 'name must be at most 255 characters'],
      ['invalid', 'role must be at most 1000 characters'],
      ['invalid', 'runtime must be at most 100 characters'],
      ['not-found', 'workspace not found'],
      ['invalid', 'invalid workspace directory'],
    ],
  }),
  remove: doc({
    summary: 'Remove a workspace and everything below it, and stop what runs for them',
    source: 'spec 1 §1.7',
    query: z.object({
      confirm: z.literal('true').optional().describe('Needed where there are children'),
      purge: z.literal('true').optional().describe('Deletes the rows, too'),
    }),
    answers: {
      200: { description: 'Removed; also what never was', body: Deleted },
      409: { description: 'There are children, and nobody confirmed', body: ConfirmationRequired },
    },
    refusals: [
      ['invalid', 'invalid workspace ID'],
      ['failed', 'failed to check children'],
      ['failed', 'workspace marked removed, but <K> stop call(s) failed — please retry: <detail>'],
      ['failed', 'purge failed'],
    ],
  }),
} as const;

const CALLER = { 'X-Workspace-ID': 'The workspace that asks' } as const;

export const agentDocs = {
  register: doc({
    summary: 'Say as an agent that it is there, and where',
    description: 'Makes the row of an unknown id. A token is given only to a workspace that has none.',
    source: 'spec 1 §3.2',
    answers: { 200: { description: 'Registered', body: Registered } },
    refusals: [
      ['invalid', 'invalid request body'],
      ['unauthenticated', 'missing workspace auth token'],
      ['unauthenticated', 'invalid workspace auth token'],
      ['failed', 'registration failed'],
    ],
  }),
  updateCard: doc({
    summary: 'Replace an agent’s card',
    source: 'spec 1 §3.5',
    answers: { 200: { description: 'Replaced; also of an unknown workspace, which has none', body: Updated } },
    refusals: [
      ['invalid', 'invalid request body'],
      ['unauthenticated', 'missing workspace auth token'],
      ['unauthenticated', 'invalid workspace auth token'],
      ['failed', 'failed to update card'],
    ],
  }),
  checkAccess: doc({
    summary: 'Ask whether one workspace may turn to another',
    description: 'In production mode it wants a credential of the platform.',
    source: 'spec 1 §3.6',
    answers: { 200: { description: 'Whether it may', body: Access } },
    refusals: [['invalid', 'invalid request body']],
  }),
  discover: doc({
    summary: 'Find out where a peer listens',
    source: 'spec 1 §3.7',
    headers: CALLER,
    answers: { 200: { description: 'Where, as the caller can dial it', body: Discovered } },
    refusals: [
      ['invalid', 'X-Workspace-ID header is required'],
      ['forbidden', 'not authorized to discover this workspace'],
      ['not-found', 'workspace not found'],
      ['unavailable', 'workspace not available', { status: 'offline' }],
      ['unavailable', 'workspace URL failed safety check'],
    ],
  }),
  peers: doc({
    summary: 'List those a workspace may turn to',
    description: 'Siblings, or for a root the other roots; then children; then the parent.',
    source: 'spec 1 §3.7',
    query: asOfQuery.extend({ q: z.string().optional().describe('Only those whose name or role contains it') }),
    answers: { 200: { description: 'The peers', body: z.array(Peer) } },
    refusals: [['invalid', INVALID_AS_OF], ...notForThePast, ['not-found', 'workspace not found'], ['failed', 'lookup failed']],
  }),
} as const;

export const eventDocs = {
  all: doc({
    summary: 'List the newest events of the platform',
    source: 'spec 1 §6.1',
    answers: { 200: { description: '100 at most, newest first', body: StructureEvents } },
    refusals: [['failed', 'query failed']],
  }),
  ofWorkspace: doc({
    summary: 'List the newest events of a workspace, also of a removed one',
    source: 'spec 1 §6.1',
    answers: { 200: { description: '100 at most, newest first', body: StructureEvents } },
    refusals: [['failed', 'query failed']],
  }),
} as const;
