/** Files of a chat, in and out (spec 2 §5). They are streams on node's own request and response: no web stream in between. */
import { isWorkspaceId } from '@molecule/contracts';
import { auth, doc, json, type NodeBindings, problem, RESPONSE_ALREADY_SENT, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { type DownloadParts, download, pathOf } from './download.ts';
import type { Slots } from './slots.ts';
import { type UploadParts, upload } from './upload.ts';

export interface ChatParts {
  readonly uploads: UploadParts & { readonly slots: Slots };
  readonly downloads: DownloadParts & { readonly slots: Slots };
}

const ChatFile = z.object({
  uri: z.string().describe('`workspace:` and the path of the file in the workspace'),
  name: z.string(),
  mimeType: z.string().optional(),
  size: z.number().int(),
});

const BUSY = ['unavailable', 'too many file transfers — retry shortly', { code: 'transfers_busy' }] as const;

export const chatRoutes = ({ uploads, downloads }: ChatParts) =>
  new Hono<WithContext>()
    .post(
      '/workspaces/:id/chat/uploads',
      doc({
        summary: 'Put files into a workspace, to be sent along with a message',
        description: 'One or more parts named `files`: 25 MiB each, 50 MiB together. All of them are stored, or none.',
        source: 'spec 2 §5.1',
        body: 'multipart/form-data',
        answers: { 200: { description: 'The files in the order of the request', body: z.object({ files: z.array(ChatFile) }) } },
        refusals: [
          ['invalid', 'invalid workspace ID'],
          ['invalid', 'failed to parse multipart form'],
          ['invalid', "expected at least one 'files' field"],
          ['unavailable', 'workspace container not running'],
          ['too-large', '<name> exceeds per-file limit (25 MB)'],
          ['invalid', 'failed to read upload'],
          ['failed', 'failed to allocate upload ID'],
          ['failed', 'failed to allocate unique upload ID'],
          ['failed', 'failed to stage files in workspace'],
          BUSY,
        ],
      }),
      auth.workspace,
      async (c) => {
        const id = idOf(c);
        const { incoming } = nodeOf(c);
        const files = await uploads.slots.use(() => upload(id, incoming, uploads, c.get('log')));
        return json(c, { files });
      },
    )
    .get(
      '/workspaces/:id/chat/download',
      doc({
        summary: 'Read a file of a workspace',
        source: 'spec 2 §5.2',
        query: z.object({ path: z.string().describe('where it is in the workspace: an absolute path') }),
        answers: { 200: { description: 'The file, as an attachment', body: 'application/octet-stream' } },
        refusals: [
          ['invalid', 'invalid workspace ID'],
          ['invalid', 'path query required'],
          ['invalid', 'path must be absolute'],
          ['invalid', 'path must be under /configs, /workspace, /home, or /plugins'],
          ['invalid', 'invalid path'],
          ['unavailable', 'docker unavailable'],
          ['unavailable', 'workspace container not running'],
          ['not-found', 'file not found'],
          ['failed', 'failed to read archive'],
          ['invalid', 'path is not a regular file'],
          BUSY,
        ],
      }),
      auth.workspace,
      async (c) => {
        const id = idOf(c);
        const path = pathOf(c.req.query('path'));
        const { outgoing } = nodeOf(c);
        await downloads.slots.use(() => download(id, path, outgoing, downloads, c.get('log')));
        return RESPONSE_ALREADY_SENT;
      },
    );

const idOf = (c: Context<WithContext>): string => {
  const id = c.req.param('id') ?? '';
  if (!isWorkspaceId(id)) throw problem.invalidWorkspaceId();
  return id.toLowerCase();
};

function nodeOf(c: Context<WithContext>): Required<Pick<NodeBindings, 'incoming' | 'outgoing'>> {
  const { incoming, outgoing } = (c.env ?? {}) as NodeBindings;
  if (incoming === undefined || outgoing === undefined) throw new TypeError('files travel over a node server only');
  return { incoming, outgoing };
}
