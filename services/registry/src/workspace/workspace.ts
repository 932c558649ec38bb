/**
 * A workspace as its decisions need to see it: no more than they ask about.
 *
 *   W1. Removed is final: no fact that comes after it changes the state (I5).
 *   W2. Evolving never refuses. A fact that a situation has no place for leaves it as it is.
 */
import type { TokenId, WorkspaceFact, WorkspaceId, WorkspaceStatus } from '@molecule/contracts';
import type { Fold } from '@molecule/event-store';

export type LiveStatus = Exclude<WorkspaceStatus, 'removed'>;

export type TokenOrigin = Extract<WorkspaceFact, { type: 'token.issued' }>['data']['by'];

/** A token that opens doors now. */
export interface LiveToken {
  readonly tokenId: TokenId;
  /** SHA-256, hex. */
  readonly hash: string;
  readonly by: TokenOrigin;
}

export interface ActiveAgent {
  readonly agentId: string;
  readonly model: string;
}

export interface PresentWorkspace {
  readonly situation: 'present';
  readonly status: LiveStatus;
  readonly name: string;
  readonly role: string | null;
  readonly tier: number;
  readonly runtime: string;
  readonly external: boolean;
  readonly parentId: WorkspaceId | null;
  /** What the platform dials; `''` while nobody knows. */
  readonly url: string;
  /** What peers dial, as the agent reported it; `''` while nobody knows. */
  readonly internalUrl: string;
  /** The provisioner said where it runs, and no lifecycle change has forgotten it since. */
  readonly located: boolean;
  readonly workspaceDir: string | null;
  readonly collapsed: boolean;
  readonly canvas: { readonly x: number; readonly y: number };
  /** After how many idle minutes it is put to sleep; `null`: never. */
  readonly idleMinutes: number | null;
  /** US cents; `null`: no ceiling. */
  readonly budgetLimit: number | null;
  /** The active one (§1.9). */
  readonly agent: ActiveAgent | null;
  readonly tokens: readonly LiveToken[];
}

export type Workspace = { readonly situation: 'absent' } | PresentWorkspace | { readonly situation: 'removed' };

export const workspaceFold: Fold<Workspace, WorkspaceFact> = {
  initial: { situation: 'absent' },
  evolve: (state, fact) => {
    switch (state.situation) {
      case 'absent':
        return fact.type === 'workspace.created' ? created(fact.data) : state; // W2
      case 'removed':
        return state; // W1
      case 'present':
        return evolvePresent(state, fact);
    }
  },
};

function evolvePresent(state: PresentWorkspace, fact: WorkspaceFact): Workspace {
  switch (fact.type) {
    case 'workspace.created':
      return state;
    case 'workspace.changed':
      return {
        ...state,
        name: fact.data.name ?? state.name,
        role: fact.data.role === undefined ? state.role : fact.data.role,
        tier: fact.data.tier ?? state.tier,
        runtime: fact.data.runtime ?? state.runtime,
        workspaceDir: fact.data.workspaceDir === undefined ? state.workspaceDir : fact.data.workspaceDir,
        collapsed: fact.data.collapsed ?? state.collapsed,
        canvas: fact.data.canvas ?? state.canvas,
      };
    case 'workspace.moved':
      return { ...state, parentId: fact.data.parentId };
    case 'workspace.registered':
      return { ...state, status: 'online', url: fact.data.url, internalUrl: fact.data.internalUrl };
    case 'workspace.card':
    case 'workspace.expanded':
    case 'workspace.collapsed':
    case 'workspace.purged':
      return state;
    case 'workspace.budgeted':
      return { ...state, budgetLimit: fact.data.budgetLimit };
    case 'workspace.idle-limited':
      return { ...state, idleMinutes: fact.data.minutes };
    case 'workspace.agent-assigned':
    case 'workspace.agent-replaced':
    case 'workspace.agent-moved-in': {
      const { agentId, model } = fact.data;
      return { ...state, agent: { agentId, model } };
    }
    case 'workspace.agent-removed':
    case 'workspace.agent-moved-out':
      return { ...state, agent: null };
    case 'workspace.located':
      return { ...state, url: fact.data.url, located: true };
    case 'workspace.status':
      return withStatus(state, fact.data);
    case 'workspace.removed':
      return { situation: 'removed' };
    case 'token.issued': {
      const { tokenId, hash, by } = fact.data;
      return { ...state, tokens: [...state.tokens, { tokenId, hash, by }] };
    }
    case 'token.revoked':
      return { ...state, tokens: state.tokens.filter(({ tokenId }) => tokenId !== fact.data.tokenId) };
    default:
      return unreachable(fact);
  }
}

const created = (data: Extract<WorkspaceFact, { type: 'workspace.created' }>['data']): Workspace =>
  data.status === 'removed'
    ? { situation: 'removed' }
    : {
        situation: 'present',
        status: data.status,
        name: data.name,
        role: data.role,
        tier: data.tier,
        runtime: data.runtime,
        external: data.external,
        parentId: data.parentId,
        url: data.url,
        internalUrl: '',
        located: false,
        workspaceDir: data.workspaceDir,
        collapsed: false,
        canvas: data.canvas,
        idleMinutes: null,
        budgetLimit: data.budgetLimit,
        agent: null,
        tokens: [],
      };

function withStatus(state: PresentWorkspace, data: Extract<WorkspaceFact, { type: 'workspace.status' }>['data']): Workspace {
  if (data.to === 'removed') return { situation: 'removed' };
  const where = data.clearsUrl ? { url: '', internalUrl: '', located: false } : {};
  return { ...state, ...where, status: data.to };
}

/** A case was forgotten: the compiler says so here, at the switch. */
const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};
