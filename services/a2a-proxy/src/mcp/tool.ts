/** The tools of the MCP endpoint, as a client sees them (spec 2 §7.11): their names, their order, what they take. */
import type { Tool } from '@modelcontextprotocol/sdk/types.js';

export const TOOL_NAMES = [
  'delegate_task',
  'delegate_task_async',
  'check_task_status',
  'list_peers',
  'get_workspace_info',
  'send_message_to_user',
  'commit_memory',
  'recall_memory',
] as const;
export type ToolName = (typeof TOOL_NAMES)[number];

interface Property {
  readonly type: 'string';
  readonly description: string;
  readonly enum?: readonly string[];
}

const text = (description: string): Property => ({ type: 'string', description });
const oneOf = (description: string, ...values: readonly string[]): Property => ({ type: 'string', description, enum: values });

const schema = (properties: Readonly<Record<string, Property>>, ...required: readonly string[]): Tool['inputSchema'] => ({
  type: 'object',
  properties: properties as Record<string, Property>,
  ...(required.length > 0 && { required: [...required] }),
});

const target = text('The id of the workspace that is to do it: see list_peers.');
const task = text('What is to be done, in words.');

const TOOLS = {
  delegate_task: {
    description: 'Give a task to another workspace and wait for its reply, at most 30 seconds.',
    inputSchema: schema({ workspace_id: target, task }, 'workspace_id', 'task'),
  },
  delegate_task_async: {
    description: 'Give a task to another workspace without waiting. Answers a task_id for check_task_status.',
    inputSchema: schema({ workspace_id: target, task }, 'workspace_id', 'task'),
  },
  check_task_status: {
    description: 'Ask what became of a task that was given to a workspace.',
    inputSchema: schema(
      { workspace_id: text('The id of the workspace that the task was given to.'), task_id: text('The id of the task.') },
      'workspace_id',
      'task_id',
    ),
  },
  list_peers: {
    description: 'List the workspaces that this one may talk to: its siblings, its children and its parent.',
    inputSchema: schema({}),
  },
  get_workspace_info: {
    description: 'Tell who this workspace is: its id, name, role, status and tier.',
    inputSchema: schema({}),
  },
  send_message_to_user: {
    description: 'Show a message in the user’s chat with this workspace.',
    inputSchema: schema({ message: text('The message.') }, 'message'),
  },
  commit_memory: {
    description: 'Remember something, for this workspace (LOCAL) or for its team (TEAM). Secrets are taken out.',
    inputSchema: schema(
      { content: text('What is to be remembered.'), scope: oneOf('Who may recall it; LOCAL by default.', 'LOCAL', 'TEAM') },
      'content',
    ),
  },
  recall_memory: {
    description: 'Find what was remembered, the newest first.',
    inputSchema: schema({
      query: text('A text that it contains; everything without one.'),
      scope: oneOf('LOCAL: its own; TEAM: the team’s; empty: its own of both.', 'LOCAL', 'TEAM', ''),
    }),
  },
} satisfies Record<ToolName, Omit<Tool, 'name'>>;

/** As `tools/list` shows them. */
export const listedTools = ({ toUser }: { readonly toUser: boolean }): Tool[] =>
  TOOL_NAMES.filter((name) => toUser || name !== 'send_message_to_user').map((name) => ({ name, ...TOOLS[name] }));

export const isToolName = (name: string): name is ToolName => TOOL_NAMES.some((known) => known === name);
