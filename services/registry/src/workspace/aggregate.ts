/** The workspace as the event store keeps it: stream `workspace.<id>`, and the read models that move with each fact. */
import { type WorkspaceFact, workspaceFacts } from '@molecule/contracts';
import type { Aggregate } from '@molecule/event-store';
import { accessLog } from '../access/projections/access-log.ts';
import type { Tables } from '../database.ts';
import { agents } from './projections/agents.ts';
import { structureEvents } from './projections/structure-events.ts';
import { tokens } from './projections/tokens.ts';
import { workspaces } from './projections/workspaces.ts';
import { type Workspace, workspaceFold } from './workspace.ts';

export const PROJECTIONS = [workspaces, tokens, agents, structureEvents, accessLog] as const;

export const workspace: Aggregate<Tables, Workspace, WorkspaceFact> = {
  noun: 'workspace',
  family: workspaceFacts,
  fold: workspaceFold,
  foldVersion: 1,
  inline: PROJECTIONS,
  workspaceOf: (id) => id,
};
