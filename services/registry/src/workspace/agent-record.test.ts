import { TokenId, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import { createdData, scenario } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { assignAgent, movedIn, movedOut, movingAgent, removeAgent, replaceAgent } from './agent-record.ts';
import { aWorkspace } from './status.fixtures.ts';
import { workspaceFold } from './workspace.ts';

const { given } = scenario(workspaceFold);
const id = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const agent = { agentId: TokenId.parse('00000000-0000-4000-8000-000000000001'), model: 'small' };
const other = { agentId: TokenId.parse('00000000-0000-4000-8000-000000000002'), model: 'large' };
const created: WorkspaceFact = { type: 'workspace.created', data: createdData() };
const assigned: WorkspaceFact = { type: 'workspace.agent-assigned', data: agent };
const replaced: WorkspaceFact = {
  type: 'workspace.agent-replaced',
  data: { ...other, oldAgentId: agent.agentId, oldModel: 'small' },
};
const removedAgent: WorkspaceFact = { type: 'workspace.agent-removed', data: agent };
const removed: WorkspaceFact = { type: 'workspace.removed', data: { from: 'online' } };

describe('assigning an agent', () => {
  it('takes a workspace that has none', () => {
    given(created).when(assignAgent(agent)).then(assigned);
    given(created, assigned, removedAgent)
      .when(assignAgent(other))
      .then({ ...assigned, data: other });
    given(created, assigned, movedOut(agent, id))
      .when(assignAgent(other))
      .then({ ...assigned, data: other });
  });

  it('A1: is refused where one is active, however it came', () => {
    for (const past of [[assigned], [assigned, replaced], [movedIn(agent, id)]])
      given(created, ...past)
        .when(assignAgent(other))
        .thenRefused({ kind: 'conflict', message: 'workspace already has an active agent, use PATCH to replace' });
  });

  it('is refused where there is no workspace', () => {
    for (const past of [[], [created, removed]])
      given(...past)
        .when(assignAgent(agent))
        .thenRefused({ kind: 'not-found', message: 'workspace not found' });
  });
});

describe('replacing and removing an agent', () => {
  it('says who went', () => {
    given(created, assigned).when(replaceAgent(other)).then(replaced);
    given(created, assigned).when(removeAgent).then(removedAgent);
    given(created, assigned, replaced).when(removeAgent).then({ type: 'workspace.agent-removed', data: other });
  });

  it('is refused where none is active', () => {
    for (const past of [[], [created], [created, assigned, removedAgent], [created, assigned, removed]]) {
      given(...past)
        .when(replaceAgent(other))
        .thenRefused({ kind: 'not-found', message: 'no active agent to replace' });
      given(...past)
        .when(removeAgent)
        .thenRefused({ kind: 'not-found', message: 'no active agent to remove' });
    }
  });
});

describe('moving an agent', () => {
  const absent = { situation: 'absent' } as const;
  const gone = { situation: 'removed' } as const;
  const empty = aWorkspace();
  const taken = aWorkspace({ agent });

  it('takes it from one to the other', () => expect(movingAgent(taken, empty)).toBe(agent));

  it.each([
    ['a target that is not there', absent, absent, 'target workspace not found'],
    ['a target that was removed', taken, gone, 'target workspace not found'],
    ['a target that has one', empty, taken, 'target workspace already has an active agent'],
    ['a source that has none', empty, empty, 'no active agent in source workspace'],
    ['a source that is not there', absent, empty, 'no active agent in source workspace'],
  ])('is refused for %s', (_, source, target, message) => expect(() => movingAgent(source, target)).toThrow(message));
});
