/** What the tools of the MCP endpoint do (spec 2 §7.11). Each answers a text, or fails with one. */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, type DirectoryEntry, isWorkspaceId } from '@molecule/contracts';
import type { Directory } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { Log } from '@molecule/service';
import type { Keeper } from '../activity/keeper.ts';
import type { DirectCalls } from '../call/direct.ts';
import { own } from '../call/normalise.ts';
import type { Tables } from '../database.ts';
import { knownWorkspace } from '../workspace.ts';
import { type DelegateParts, delegate, delegateAsync, type Task } from './delegate.ts';
import { peersOf, rolesOf, shownWorkspace } from './peers.ts';
import { notAuthorised } from './reply.ts';
import { RPC, RpcFailure, toolFailure } from './rpc.ts';
import { taskStatus } from './tasks.ts';
import { isToolName, type ToolName } from './tool.ts';

/** Spec 2 §7.11. */
const WAIT_MS = 30_000;
/** What is to be remembered travels over the bus, where a message is small (D10). */
const MAX_CONTENT_BYTES = 48 * 1024;
const MAX_MEMORIES = 50;

export interface ToolParts {
  readonly bus: Bus;
  readonly directory: Directory;
  readonly ledger: Ledger<Tables>;
  readonly calls: Pick<DirectCalls, 'handle'>;
  readonly keeper: Pick<Keeper, 'notify'>;
  readonly newId: () => string;
  readonly log: Log;
  /** Whether agents may speak to their user here. */
  readonly toUser: boolean;
}

type Args = Readonly<Record<string, unknown>>;
type Run = (self: string, args: Args) => Promise<string>;

export class Tools {
  readonly #parts: ToolParts;
  readonly #delegating: DelegateParts;
  readonly #runs: Readonly<Record<ToolName, Run>> = {
    delegate_task: async (self, args) => delegate(this.#delegating, await this.#task(self, args)),
    delegate_task_async: async (self, args) => {
      const task = await this.#task(self, args);
      const taskId = await delegateAsync(this.#delegating, task);
      return JSON.stringify({ task_id: taskId, status: 'dispatched', target_id: task.target });
    },
    check_task_status: (self, args) => this.#checkTask(self, args),
    list_peers: async (self) => {
      const peers = peersOf(this.#parts.directory, await this.#self(self));
      if (peers.length === 0) return 'No peers found.';
      const roles = await rolesOf(
        this.#parts.bus,
        peers.map(({ workspaceId }) => workspaceId),
      );
      return indented(peers.map((peer) => shownWorkspace(peer, roles.get(peer.workspaceId) ?? '')));
    },
    get_workspace_info: async (self) => {
      const entry = await this.#self(self);
      const roles = await rolesOf(this.#parts.bus, [entry.workspaceId]);
      const { parentId } = entry;
      const shown = shownWorkspace(entry, roles.get(entry.workspaceId) ?? '');
      return indented(parentId === null ? shown : { ...shown, parent_id: parentId });
    },
    send_message_to_user: async (self, args) => {
      if (!this.#parts.toUser) throw toolFailure(NOT_ENABLED);
      const message = required(args, 'message');
      await this.#parts.keeper.notify(await this.#self(self), message);
      return 'Message sent.';
    },
    commit_memory: (self, args) => this.#commit(self, args),
    recall_memory: (self, args) => this.#recall(self, args),
  };

  constructor(parts: ToolParts) {
    this.#parts = parts;
    this.#delegating = { ...parts, waitMs: WAIT_MS };
  }

  /** Runs a tool in the name of a workspace. @throws RpcFailure, and what `isUnavailable` recognises */
  async call(self: string, params: unknown): Promise<string> {
    const name = own(params, 'name') ?? '';
    const args = own(params, 'arguments') ?? {};
    if (params === null || typeof params !== 'object' || Array.isArray(params)) throw invalidParams('an object is needed');
    if (typeof name !== 'string') throw invalidParams('name is a text');
    if (typeof args !== 'object' || Array.isArray(args)) throw invalidParams('arguments are an object');
    if (!isToolName(name)) throw toolFailure(`unknown tool: ${name.slice(0, MAX_NAME)}`);
    return this.#runs[name](self, args as Args);
  }

  /** The workspace itself. */
  async #self(self: string): Promise<DirectoryEntry> {
    const entry = await knownWorkspace(this.#parts.directory, self);
    if (entry === undefined || entry.status === 'removed') throw toolFailure('workspace not found');
    return entry;
  }

  /** A task for somebody whom this workspace may talk to. */
  async #task(self: string, args: Args): Promise<Task> {
    const target = canonical(required(args, 'workspace_id'));
    const task = required(args, 'task');
    const { directory } = this.#parts;
    const [from, to] = [await knownWorkspace(directory, self), await knownWorkspace(directory, target)];
    if (from === undefined || !directory.canCommunicate(self, target)) throw notAuthorised(self, target);
    if (to === undefined) throw toolFailure(`workspace ${target} not found`);
    return { caller: from.workspaceId, target, task };
  }

  async #checkTask(self: string, args: Args): Promise<string> {
    const target = canonical(required(args, 'workspace_id'));
    const taskId = required(args, 'task_id');
    const { workspaceId } = await this.#self(self);
    const found = await taskStatus(this.#parts.ledger, { caller: workspaceId, target, taskId });
    if (found === null)
      return JSON.stringify({ task_id: taskId, status: 'not_found', note: 'task not tracked or not yet dispatched' });
    const { status, error, result } = found;
    return indented({ status, target_id: target, task_id: taskId, ...(error && { error }), ...(result !== null && { result }) });
  }

  async #commit(self: string, args: Args): Promise<string> {
    const content = required(args, 'content');
    const scope = textIn(args, 'scope') || 'LOCAL';
    if (scope === 'GLOBAL') throw toolFailure(`${NO_GLOBAL} — use LOCAL or TEAM`);
    if (scope !== 'LOCAL' && scope !== 'TEAM') throw toolFailure(BAD_SCOPE);
    if (Buffer.byteLength(JSON.stringify(content)) > MAX_CONTENT_BYTES) throw toolFailure('content is too long: at most 48 KiB');
    const { bus, newId } = this.#parts;
    const { workspaceId } = await this.#self(self);
    const told = { workspaceId, scope, content, namespace: workspaceId, commandId: newId() } as const;
    const { id } = await ask(bus, asks.registry.remember, told);
    if (id === null) throw toolFailure('workspace not found');
    return JSON.stringify({ id, scope });
  }

  async #recall(self: string, args: Args): Promise<string> {
    const scope = textIn(args, 'scope');
    if (scope === 'GLOBAL') throw toolFailure(`${NO_GLOBAL} — use LOCAL, TEAM, or empty`);
    if (scope !== '' && scope !== 'LOCAL' && scope !== 'TEAM') throw toolFailure(BAD_SCOPE);
    const query = textIn(args, 'query');
    const { workspaceId } = await this.#self(self);
    // Longer than whatever is remembered: found nowhere.
    if (Buffer.byteLength(JSON.stringify(query)) > MAX_CONTENT_BYTES) return NO_MEMORIES;
    const asked = { workspaceId, scope: scope || 'OWN', query, limit: MAX_MEMORIES } as const;
    const { memories } = await ask(this.#parts.bus, asks.registry.recall, asked);
    if (memories.length === 0) return NO_MEMORIES;
    return indented(memories.map(({ id, content, scope, createdAt }) => ({ id, content, scope, created_at: createdAt })));
  }
}

const NOT_ENABLED = 'send_message_to_user is not enabled on this MCP bridge (set MOLECULE_MCP_ALLOW_SEND_MESSAGE=true)';
const NO_GLOBAL = 'GLOBAL scope is not permitted via the MCP bridge';
const BAD_SCOPE = 'scope must be LOCAL or TEAM';
const NO_MEMORIES = 'No memories found.';
const MAX_NAME = 200;

const invalidParams = (why: string) => new RpcFailure(RPC.invalidParams, `invalid params: ${why}`);

/** What is no text counts as not given. */
const textIn = (args: Args, name: string): string => {
  const value = own(args, name);
  return typeof value === 'string' ? value : '';
};

function required(args: Args, name: string): string {
  const value = textIn(args, name);
  if (value === '') throw toolFailure(`${name} is required`);
  return value;
}

const canonical = (id: string): string => (isWorkspaceId(id) ? id.toLowerCase() : id);
const indented = (value: unknown): string => JSON.stringify(value, null, 2);
