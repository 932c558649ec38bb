/**
 * What may become of a workspace's identity, place in the tree, card and whereabouts. Statuses are `status.ts`, lifecycle commands
 * `lifecycle.ts`, who may register `tokens.ts`.
 *
 *   D1. What is so already is answered with no facts, so a command may arrive twice.
 *   D2. A removed workspace takes nothing in and refuses nothing: register, beats and late results leave it as it is (I5).
 */
import {
  type Json,
  Refusal,
  type TokenId,
  type WorkspaceAccess,
  type WorkspaceFact,
  type WorkspaceId,
} from '@molecule/contracts';
import { mustHoldToken, type NewToken, type OpenByState, type Presented, provesProvisioned, tokenIssued } from './tokens.ts';
import type { PresentWorkspace, TokenOrigin, Workspace } from './workspace.ts';

export type Decision = (state: Workspace) => readonly WorkspaceFact[];

export interface NewWorkspace {
  readonly name: string;
  readonly role: string | null;
  readonly tier: number;
  readonly runtime: string;
  readonly external: boolean;
  readonly url: string;
  readonly parentId: WorkspaceId | null;
  readonly template: string;
  readonly model: string;
  readonly workspaceDir: string | null;
  readonly workspaceAccess: WorkspaceAccess;
  readonly maxConcurrentTasks: number;
  /** US cents. */
  readonly budgetLimit: number | null;
  readonly canvas: { readonly x: number; readonly y: number };
}

export const awarenessNamespace = (id: WorkspaceId): string => `workspace:${id}`;

/** `POST /workspaces` (§1.4): provisioning; an external one goes on at once to online with a URL, else it waits, holding a token. */
export const create =
  (id: WorkspaceId, wanted: NewWorkspace, token: NewToken): Decision =>
  (state) => {
    if (state.situation !== 'absent') return []; // D1
    const { external, url, name } = wanted;
    const created = createdBy('create', id, wanted);
    if (!external) return [created];
    return url !== ''
      ? [created, goesOn(name, 'online', 'WORKSPACE_ONLINE')]
      : [created, goesOn(name, 'awaiting_agent', 'WORKSPACE_AWAITING_AGENT'), tokenIssued(token, 'create')];
  };

/** A child that its parent was expanded into (§1.9). Nobody is there to be shown a token: an external one is given its own later. */
export const createChild =
  (id: WorkspaceId, wanted: NewWorkspace): Decision =>
  (state) => {
    if (state.situation !== 'absent') return []; // D1
    const created = createdBy('expand', id, wanted);
    return wanted.external ? [created, goesOn(wanted.name, 'awaiting_agent', 'WORKSPACE_AWAITING_AGENT')] : [created];
  };

const createdBy = (by: 'create' | 'expand', id: WorkspaceId, wanted: NewWorkspace): WorkspaceFact => ({
  type: 'workspace.created',
  data: { ...wanted, status: 'provisioning', by, awarenessNamespace: awarenessNamespace(id) },
});

/** An external workspace is not started by us. */
const goesOn = (name: string, to: 'online' | 'awaiting_agent', type: string): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'provisioning', to, reason: 'created', clearsUrl: false, event: { type, payload: { name, external: true } } },
});

export interface Child {
  readonly id: WorkspaceId;
  readonly name: string;
  /** `''`: none. */
  readonly role: string;
}

/** The parent of a team says whom it was expanded into (§1.9). */
export const expand =
  (children: readonly Child[]): Decision =>
  (state) => {
    if (state.situation !== 'present') throw new Refusal('not-found', 'workspace not found');
    return [{ type: 'workspace.expanded', data: { children: [...children] } }];
  };

/** And which of its children went, by their names. What is not there has nobody to say it to. */
export const collapse =
  (removedChildren: readonly string[]): Decision =>
  (state) =>
    state.situation === 'present' ? [{ type: 'workspace.collapsed', data: { removedChildren: [...removedChildren] } }] : [];

export interface Registration {
  readonly url: string;
  /** Whether `url` passed the address rules of §3.8. */
  readonly urlAllowed: boolean;
  /** Whether `url` may be dialled at all: what is allowed may, and in development mode loopback as well. */
  readonly dialable: boolean;
  readonly agentCard: Json;
  readonly presented: Presented;
  /** Issued only to a workspace that has no live token. */
  readonly token: NewToken;
  readonly openByState: OpenByState;
}

/** `POST /registry/register` (§3.2): online from any status but removed; an unknown id makes the row. */
export const register =
  (id: WorkspaceId, registration: Registration): Decision =>
  (state) => {
    const { url, urlAllowed, dialable, agentCard, presented, openByState } = registration;
    if (!urlAllowed && !provesProvisioned(state, presented)) throw new Refusal('invalid', 'invalid request body');
    mustHoldToken(state, presented, openByState);
    if (state.situation === 'removed') return []; // D2
    const present = state.situation === 'present' ? state : null;
    const registered: WorkspaceFact = {
      type: 'workspace.registered',
      data: {
        from: present?.status ?? 'online',
        url: hostUrl(present?.url ?? '', { url, urlAllowed, dialable }),
        internalUrl: url,
        agentCard,
      },
    };
    return [
      ...(present === null ? [unheardOf(id)] : []),
      registered,
      ...((present?.tokens.length ?? 0) === 0 ? [tokenIssued(registration.token, 'register')] : []),
    ];
  };

/**
 * The provisioner's loopback URL wins over the reported one, and an address that failed the rules does not replace a known one
 * (README choice 4). An agent that registers before the provisioner has told where it runs is reached where it says, if that may be
 * dialled: online and out of reach is nothing anybody wants to see.
 */
const hostUrl = (
  stored: string,
  { url, urlAllowed, dialable }: Pick<Registration, 'url' | 'urlAllowed' | 'dialable'>,
): string => {
  if (stored.startsWith('http://127.0.0.1')) return stored;
  return urlAllowed || (stored === '' && dialable) ? url : stored;
};

/** The row of an id nobody created: named by its id (§2.2). */
const unheardOf = (id: WorkspaceId): WorkspaceFact => ({
  type: 'workspace.created',
  data: {
    name: id,
    role: null,
    tier: 1,
    runtime: 'langgraph',
    external: false,
    parentId: null,
    url: '',
    status: 'online',
    by: 'register',
    template: '',
    model: '',
    workspaceDir: null,
    workspaceAccess: 'none',
    awarenessNamespace: awarenessNamespace(id),
    maxConcurrentTasks: 1,
    budgetLimit: null,
    canvas: { x: 0, y: 0 },
  },
});

/** `POST /registry/update-card` (§3.5). An unknown or removed workspace has no card to change, and is not told so. */
export const updateCard =
  (agentCard: Json, presented: Presented, openByState: OpenByState): Decision =>
  (state) => {
    mustHoldToken(state, presented, openByState);
    return state.situation === 'present' ? [{ type: 'workspace.card', data: { agentCard } }] : [];
  };

/** The keys of `PATCH /workspaces/:id` that were present and of the right type. */
export interface Patch {
  readonly name?: string | undefined;
  readonly role?: string | null | undefined;
  readonly tier?: number | undefined;
  readonly runtime?: string | undefined;
  readonly workspaceDir?: string | null | undefined;
  readonly collapsed?: boolean | undefined;
  readonly canvas?: { readonly x: number; readonly y: number } | undefined;
  /** `null`: never put to sleep for idleness (README choice 8). */
  readonly idleMinutes?: number | null | undefined;
  /** Already known to exist, and not to lie below this workspace. */
  readonly parentId?: WorkspaceId | null | undefined;
}

/** `PATCH /workspaces/:id` (§1.5): only what differs; a removed row counts as existing. */
export const change =
  (patch: Patch): Decision =>
  (state) => {
    if (state.situation === 'absent') throw new Refusal('not-found', 'workspace not found');
    if (state.situation === 'removed') return []; // D2
    const { parentId, idleMinutes, ...fields } = patch;
    const changed = Object.fromEntries(
      Object.entries(fields).filter(([key, value]) => differs(state, key as keyof typeof fields, value)),
    );
    return [
      ...(Object.keys(changed).length > 0 ? [{ type: 'workspace.changed', data: changed } as const] : []),
      ...(parentId !== undefined && parentId !== state.parentId
        ? [{ type: 'workspace.moved', data: { parentId } } as const]
        : []),
      ...(idleMinutes !== undefined && idleMinutes !== state.idleMinutes
        ? [{ type: 'workspace.idle-limited', data: { minutes: idleMinutes } } as const]
        : []),
    ];
  };

function differs(state: PresentWorkspace, key: keyof Omit<Patch, 'parentId' | 'idleMinutes'>, value: Patch[typeof key]): boolean {
  if (value === undefined) return false;
  if (key !== 'canvas') return state[key] !== value;
  const { x, y } = value as NonNullable<Patch['canvas']>;
  return state.canvas.x !== x || state.canvas.y !== y;
}

/** The provisioner says where the runtime listens; news of one that was stopped on purpose since is too late. */
export const locate =
  (url: string): Decision =>
  (state) => {
    if (state.situation !== 'present' || state.external) return [];
    if (state.status === 'paused' || state.status === 'hibernating' || state.status === 'hibernated') return [];
    return state.located && state.url === url ? [] : [{ type: 'workspace.located', data: { url } }];
  };

/** The root of a DELETE (§1.7): also one that is removed already says so again, for canvases that missed it. */
export const removeRoot =
  (cascadeDeleted: number): Decision =>
  (state) => {
    switch (state.situation) {
      case 'absent':
        return [];
      case 'removed':
        return [{ type: 'workspace.removed', data: { from: 'removed', cascadeDeleted } }];
      case 'present':
        return [{ type: 'workspace.removed', data: { from: state.status, cascadeDeleted } }, ...revokeAll(state, 'removed')];
    }
  };

/** A descendant removed with its root. */
export const removeDescendant: Decision = (state) =>
  state.situation === 'present'
    ? [{ type: 'workspace.removed', data: { from: state.status } }, ...revokeAll(state, 'removed')]
    : [];

const revokeAll = (state: PresentWorkspace, by: 'removed' | 'provisioner'): readonly WorkspaceFact[] =>
  state.tokens.map(({ tokenId }) => ({ type: 'token.revoked', data: { tokenId: tokenId as TokenId, by } }));

/** One more token beside those that live (test-token, and later the tokens' own routes). */
export const issueToken =
  (token: NewToken, by: TokenOrigin): Decision =>
  (state) => {
    if (state.situation !== 'present') throw new Refusal('not-found', 'workspace not found');
    return [tokenIssued(token, by)];
  };

export const MAX_LIVE_TOKENS = 50;

/**
 * `POST /workspaces/:id/tokens` (§4.7). `by`: the workspace's own token that asks for another, `null` where something else does. One
 * that was revoked while its request was on the way leaves no other behind.
 */
export const issueTokenWithinLimit =
  (token: NewToken, by: string | null): Decision =>
  (state) => {
    if (state.situation !== 'present') throw new Refusal('failed', 'failed to create token');
    if (by !== null && !state.tokens.some(({ tokenId }) => tokenId === by))
      throw new Refusal('unauthenticated', 'invalid workspace auth token');
    if (state.tokens.length >= MAX_LIVE_TOKENS)
      throw new Refusal('too-many', `maximum ${MAX_LIVE_TOKENS} active tokens per workspace`);
    return issueToken(token, 'api')(state);
  };

/** `DELETE /workspaces/:id/tokens/:tokenId` (§4.7). Whose token it is, if it is not this workspace's, is not told (§9 #20). */
export const revokeToken =
  (tokenId: string): Decision =>
  (state) => {
    const token = state.situation === 'present' ? state.tokens.find((live) => live.tokenId === tokenId) : undefined;
    if (token === undefined) throw new Refusal('not-found', 'token not found or already revoked');
    return [{ type: 'token.revoked', data: { tokenId: token.tokenId, by: 'api' } }];
  };

/** The provisioner wrote a token to the agent's volume: that one lives, all others die. */
export const replaceTokens =
  (token: NewToken): Decision =>
  (state) => {
    if (state.situation !== 'present') return []; // D2
    if (state.tokens.length === 1 && state.tokens[0]?.hash === token.hash) return []; // D1
    return [...revokeAll(state, 'provisioner'), tokenIssued(token, 'provisioner')];
  };
