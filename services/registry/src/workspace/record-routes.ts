/** The agent record (spec 1 §1.9). */
import { isWorkspaceId, WorkspaceId } from '@molecule/contracts';
import type { CommandMeta } from '@molecule/event-store';
import { auth, body, doc, json, problem, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';
import { commandOf, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { activeAgent, assignAgent, movedIn, movedOut, movingAgent, removeAgent, replaceAgent } from './agent-record.ts';
import { workspace } from './aggregate.ts';
import type { Decision } from './decisions.ts';
import { AssignedAgent, MovedAgent, RemovedAgent, ReplacedAgent } from './shapes.ts';
import { shareTree } from './tree.ts';
import type { ActiveAgent, Workspace } from './workspace.ts';

/** A model's name travels in facts and events (D10). */
const Assignment = z.object({ model: z.string().min(1).max(1_000) });
const Relocation = z.object({ target_workspace_id: z.string().min(1) });
const NO_WORKSPACE: { readonly state: Workspace; readonly version: number } = { state: { situation: 'absent' }, version: 0 };

export function recordRoutes({ store, newId }: Pick<Parts, 'store' | 'newId'>) {
  /** Decides on a workspace; text that is no id names none, and the decision refuses that. Answers the agent it had before. */
  const decideOn = async (id: string, meta: CommandMeta, decide: Decision): Promise<ActiveAgent | null> => {
    let former: ActiveAgent | null = null;
    const decideKeeping: Decision = (state) => {
      former = activeAgent(state);
      return decide(state);
    };
    if (isWorkspaceId(id)) await store.change(WorkspaceId.parse(id), meta, decideKeeping);
    else decideKeeping(NO_WORKSPACE.state);
    return former;
  };

  const move = (from: string, to: string, meta: CommandMeta): Promise<ActiveAgent> =>
    store.transaction(async (tx, committing) => {
      await shareTree(tx);
      const load = async (id: string) => (isWorkspaceId(id) ? tx.load(workspace, WorkspaceId.parse(id)) : NO_WORKSPACE);
      const [source, target] = [await load(from), await load(to)];
      const agent = movingAgent(source.state, target.state);
      const [sourceId, targetId] = [WorkspaceId.parse(from), WorkspaceId.parse(to)];
      const sides = [
        { id: sourceId, fact: movedOut(agent, targetId), version: source.version },
        { id: targetId, fact: movedIn(agent, sourceId), version: target.version },
      ];
      // In one order, whichever way agents go: moves to and fro wait for each other, not in a circle; nor do they with pauses and
      // removals of a subtree, which have an order of their own and the tree for themselves.
      for (const { id, fact, version } of sides.toSorted((a, b) => (a.id < b.id ? -1 : 1)))
        committing(await tx.append(workspace, id, [fact], version, meta));
      return agent;
    });

  return new Hono<WithContext>()
    .post(
      '/workspaces/:id/agent',
      doc({
        summary: 'Assign an agent to a workspace that has none',
        source: 'spec 1 §1.9',
        answers: { 201: { description: 'The agent', body: AssignedAgent } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['not-found', 'workspace not found'],
          ['conflict', 'workspace already has an active agent, use PATCH to replace'],
          ['failed', 'failed to assign agent'],
        ],
      }),
      auth.workspace,
      body(Assignment, problem.invalidRequestBody),
      async (c) => {
        const agent = { agentId: newId(), model: c.req.valid('json').model };
        await orFail(c, 'failed to assign agent', () => decideOn(c.req.param('id'), commandOf(c, newId), assignAgent(agent)));
        return json(c, { agent_id: agent.agentId, model: agent.model }, 201);
      },
    )

    .patch(
      '/workspaces/:id/agent',
      doc({
        summary: 'Replace the active agent of a workspace by one with another model',
        source: 'spec 1 §1.9',
        answers: { 200: { description: 'The new agent, and the model of the old one', body: ReplacedAgent } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['not-found', 'no active agent to replace'],
          ['failed', 'failed to replace agent'],
        ],
      }),
      auth.workspace,
      body(Assignment, problem.invalidRequestBody),
      async (c) => {
        const agent = { agentId: newId(), model: c.req.valid('json').model };
        const old = await orFail(c, 'failed to replace agent', () =>
          decideOn(c.req.param('id'), commandOf(c, newId), replaceAgent(agent)),
        );
        return json(c, { agent_id: agent.agentId, model: agent.model, old_model: old?.model });
      },
    )

    .delete(
      '/workspaces/:id/agent',
      doc({
        summary: 'Remove the active agent of a workspace',
        source: 'spec 1 §1.9',
        answers: { 200: { description: 'Which agent it was', body: RemovedAgent } },
        refusals: [
          ['not-found', 'no active agent to remove'],
          ['failed', 'failed to remove agent'],
        ],
      }),
      auth.workspace,
      async (c) => {
        const removed = await orFail(c, 'failed to remove agent', () =>
          decideOn(c.req.param('id'), commandOf(c, newId), removeAgent),
        );
        return json(c, { status: 'removed', agent_id: removed?.agentId });
      },
    )

    .post(
      '/workspaces/:id/agent/move',
      doc({
        summary: 'Move the active agent of a workspace to one that has none',
        source: 'spec 1 §1.9',
        answers: { 200: { description: 'Which agent, and whereto', body: MovedAgent } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['not-found', 'target workspace not found'],
          ['conflict', 'target workspace already has an active agent'],
          ['not-found', 'no active agent in source workspace'],
          ['failed', 'failed to move agent'],
        ],
      }),
      auth.workspace,
      body(Relocation, problem.invalidRequestBody),
      async (c) => {
        const [from, to] = [c.req.param('id').toLowerCase(), c.req.valid('json').target_workspace_id.toLowerCase()];
        const agent = await orFail(c, 'failed to move agent', () => move(from, to, commandOf(c, newId)));
        return json(c, { agent_id: agent.agentId, model: agent.model, from_workspace: from, to_workspace: to });
      },
    );
}
