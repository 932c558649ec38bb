/** What `POST /workspaces/:id/a2a` says of itself in the reference: its refusals are read off the very answers it gives. */
import { Json } from '@molecule/contracts';
import type { RouteDoc } from '@molecule/http';
import { z } from 'zod';
import { circle, tooDeep } from '../lineage/refused.ts';
import { answers } from './answer.ts';
import { refusalOf } from './refusals.ts';

const EXAMPLES = [
  answers.noUrl('offline'),
  answers.unreadReply(true),
  answers.mailboxFull(1_000, 1_000),
  answers.lineage(circle([], ['Lead', 'Helper', 'Lead'])),
  answers.lineage(tooDeep([], ['Lead', 'Helper'], 1)),
];

export const a2aDoc: RouteDoc = {
  summary: 'Call the agent of a workspace',
  description:
    'Synchronous: the answer is the agent’s own, byte for byte, with its status if that is below 300; above, its `error` text. A busy agent’s call is put into its mailbox (202) and dispatched when there is room. A call is detached from its client: who hangs up cancels nothing. A call of an agent that would close a circle of calls that are open, or make a chain of them too long, is refused with 409 and says what to do instead. A client that asks for a stream of events, by `Accept` or by its method (`message/stream`, `tasks/resubscribe`, `SendStreamingMessage`, `SubscribeToTask`), gets the agent’s as it comes, `text/event-stream`, if the agent answers with one. At most 1 MiB of the body is read.',
  source: 'spec 2 §1.1',
  headers: {
    'X-Workspace-ID': 'Who calls: a workspace. Without it, the canvas.',
    Accept: '`text/event-stream` asks for the agent’s events as they come.',
    'X-Timeout': 'How many seconds the call may take in all.',
    'A2A-Version':
      'Reaches the agent, also after a wait in its mailbox, as A2A-Extensions and X-A2A-Extensions do; no other header does.',
  },
  body: z
    .object({ method: z.string(), params: Json.optional() })
    .describe('A JSON-RPC 2.0 request, or only its method and params.'),
  answers: {
    200: { description: 'What the agent answered; its events as they come, for who asked for them.', body: Json },
    202: {
      description: 'The agent is busy: the message waits in its mailbox, and can be followed at `Location`.',
      body: z.object({
        queued: z.literal(true),
        queue_id: z.string(),
        queue_depth: z.int(),
        message: z.string(),
      }),
    },
  },
  refusals: [...Object.values(answers).filter((answer) => typeof answer !== 'function'), ...EXAMPLES].map(refusalOf),
};
