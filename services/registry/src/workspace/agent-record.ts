/**
 * The agent record (spec 1 §1.9): which model works in a workspace. What became of agents is `projections/agents.ts`.
 *
 *   A1. At most one agent of a workspace is active. Whoever assigns decides on the workspace's own stream, so of two at once one hears
 *       of the other.
 *   A2. An agent that moves is active in one workspace at any time: both streams take its move in one transaction.
 */
import { Refusal, type WorkspaceFact, type WorkspaceId } from '@molecule/contracts';
import type { Decision } from './decisions.ts';
import type { ActiveAgent, Workspace } from './workspace.ts';

const refused = {
  workspaceNotFound: () => new Refusal('not-found', 'workspace not found'),
  taken: () => new Refusal('conflict', 'workspace already has an active agent, use PATCH to replace'),
  nothingToReplace: () => new Refusal('not-found', 'no active agent to replace'),
  nothingToRemove: () => new Refusal('not-found', 'no active agent to remove'),
  targetNotFound: () => new Refusal('not-found', 'target workspace not found'),
  targetTaken: () => new Refusal('conflict', 'target workspace already has an active agent'),
  nothingToMove: () => new Refusal('not-found', 'no active agent in source workspace'),
} as const;

/** What is removed has no agent any more. */
export const activeAgent = (state: Workspace): ActiveAgent | null => (state.situation === 'present' ? state.agent : null);

export const assignAgent =
  (agent: ActiveAgent): Decision =>
  (state) => {
    if (state.situation !== 'present') throw refused.workspaceNotFound();
    if (state.agent !== null) throw refused.taken(); // A1
    return [{ type: 'workspace.agent-assigned', data: agent }];
  };

export const replaceAgent =
  ({ agentId, model }: ActiveAgent): Decision =>
  (state) => {
    const old = activeAgent(state);
    if (old === null) throw refused.nothingToReplace();
    return [{ type: 'workspace.agent-replaced', data: { agentId, model, oldAgentId: old.agentId, oldModel: old.model } }];
  };

export const removeAgent: Decision = (state) => {
  const agent = activeAgent(state);
  if (agent === null) throw refused.nothingToRemove();
  return [{ type: 'workspace.agent-removed', data: agent }];
};

/** A2: who moves. A workspace that is asked to move its agent to itself is taken: by that agent. */
export function movingAgent(source: Workspace, target: Workspace): ActiveAgent {
  if (target.situation !== 'present') throw refused.targetNotFound();
  if (target.agent !== null) throw refused.targetTaken(); // A1
  const agent = activeAgent(source);
  if (agent === null) throw refused.nothingToMove();
  return agent;
}

/** What either side says of a move. */
export const movedOut = (agent: ActiveAgent, targetWorkspaceId: WorkspaceId): WorkspaceFact => ({
  type: 'workspace.agent-moved-out',
  data: { ...agent, targetWorkspaceId },
});
export const movedIn = (agent: ActiveAgent, sourceWorkspaceId: WorkspaceId): WorkspaceFact => ({
  type: 'workspace.agent-moved-in',
  data: { ...agent, sourceWorkspaceId },
});
