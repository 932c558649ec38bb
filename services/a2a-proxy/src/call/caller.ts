/** Who is calling (spec 2 §1.2), and by when an answer must be there (§1.7). Pure. */
import { isWorkspaceId, type MessageSource, type Principal, type WorkspaceId } from '@molecule/contracts';
import type { Mode } from '@molecule/service';
import { type Answer, answers } from './answer.ts';

export interface Caller {
  readonly source: MessageSource;
  /** The calling workspace, else `null`. */
  readonly id: WorkspaceId | null;
  /** `''` for the canvas and schedules, else the workspace's id or the system sender's name. */
  readonly name: string;
}

const CANVAS: Caller = { source: 'canvas', id: null, name: '' };
const SCHEDULE: Caller = { source: 'schedule', id: null, name: '' };
/** Names only our own services may call by: never from a header. */
const SYSTEM = /^(system|webhook|test|channel):/;

/** Ids are lower case; what is none stays as it is. */
export const canonical = (id: string): string => (isWorkspaceId(id) ? id.toLowerCase() : id);

export const isSystemName = (name: string): boolean => SYSTEM.test(name);

export interface Asking {
  /** `X-Workspace-ID` as sent; `''` if absent. */
  readonly header: string;
  readonly target: string;
  readonly principal: Principal;
  readonly mode: Mode;
  /** How many live tokens a workspace has. */
  readonly liveTokens: (workspaceId: string) => number;
}

export function identifyCaller(asking: Asking): { caller: Caller } | { answer: Answer } {
  const { header, target, principal, mode } = asking;
  if (principal.identity.kind === 'service') return { caller: serviceCaller(principal.identity, target) };
  if (header === '' || header === target) {
    const answer = mode === 'production' ? ownDoor(principal, target) : null;
    if (answer) return { answer };
    return { caller: header === '' ? CANVAS : { source: 'self', id: target as WorkspaceId, name: target } };
  }
  if (isSystemName(header)) return { answer: answers.invalidCaller };
  const answer = callersToken(asking);
  if (answer) return { answer };
  return { caller: { source: 'workspace', id: header as WorkspaceId, name: header } };
}

function serviceCaller({ service, as }: { service: string; as: string }, target: string): Caller {
  if (as === '') return service === 'scheduler' ? SCHEDULE : CANVAS;
  if (isSystemName(as)) return { source: 'system', id: null, name: as };
  return { source: as === target ? 'self' : 'workspace', id: as as WorkspaceId, name: as };
}

/** The token check of a workspace caller: bound to the caller, never to the target. */
export function callersToken({ header, principal, mode, liveTokens }: Asking): Answer | null {
  const { identity, tokensKnown } = principal;
  // Tokens that cannot be looked up open no door (spec README, choice 11).
  if (!tokensKnown) return answers.unavailable;
  if (identity.kind === 'workspace' && identity.workspaceId === header) return null;
  // Grandfathered: it has no token it could show. Not in production mode (choice 12).
  if (mode !== 'production' && liveTokens(header) === 0) return null;
  return identity.kind === 'anonymous' ? answers.missingCallerToken : answers.invalidCallerToken;
}

/** Production mode (design §7): nobody speaks as the canvas or as a workspace itself without showing who they are. */
function ownDoor({ identity, session, tokensKnown }: Principal, target: string): Answer | null {
  if (identity.kind === 'admin' || identity.kind === 'service') return null;
  if (!tokensKnown) return answers.unavailable;
  switch (identity.kind) {
    case 'org':
      return null;
    case 'workspace':
      return identity.workspaceId === target ? null : answers.invalidToken;
    case 'anonymous':
      return session === null ? answers.missingToken : null;
    case 'unknown-token':
      return answers.invalidToken;
  }
}

/** Spec 2 §1.7: who is not the canvas waits at most this long, if they gave no limit themselves. */
const CEILING_MS = 30 * 60_000;

/** How long a call may take in all, in ms; `Infinity` for the canvas. `X-Timeout` is a real upper bound (spec README, choice 7). */
export function limitOf(caller: Caller, xTimeout: string): number {
  if (/^\+?\d+$/.test(xTimeout)) {
    const seconds = Number(xTimeout);
    if (seconds > 0) return seconds * 1000;
  }
  return caller.name === '' ? Number.POSITIVE_INFINITY : CEILING_MS;
}
