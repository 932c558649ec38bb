/** Facts and entries for this package's tests. */
import { randomUUID } from 'node:crypto';
import type { DirectoryEntry, RecordedWorkspaceFact, TokenId, WorkspaceId } from '@molecule/contracts';

/** The n-th id. */
export const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as WorkspaceId & TokenId;

type DataOf<Type extends RecordedWorkspaceFact['type']> = Extract<RecordedWorkspaceFact, { type: Type }>['data'];

/** `second`: when it was recorded, in seconds past noon. */
export const fact = <Type extends RecordedWorkspaceFact['type']>(
  workspaceId: string,
  version: number,
  type: Type,
  data: DataOf<Type>,
  second = 0,
): RecordedWorkspaceFact =>
  ({
    id: randomUUID(),
    stream: `workspace.${workspaceId}`,
    version,
    schema: 1,
    type,
    data,
    workspaceId,
    recordedAt: new Date(Date.UTC(2026, 10, 22, 12, 0, second)).toISOString(),
    commandId: randomUUID(),
    correlationId: null,
    causationId: null,
    traceparent: null,
  }) as RecordedWorkspaceFact;

export const created = (workspaceId: string, more: Partial<DataOf<'workspace.created'>> = {}): RecordedWorkspaceFact =>
  fact(workspaceId, 1, 'workspace.created', {
    name: 'atlas',
    role: null,
    tier: 1,
    runtime: 'langgraph',
    external: false,
    parentId: null,
    url: '',
    status: 'provisioning',
    by: 'create',
    template: '',
    model: '',
    workspaceDir: null,
    workspaceAccess: 'none',
    awarenessNamespace: '',
    maxConcurrentTasks: 1,
    budgetLimit: null,
    canvas: { x: 0, y: 0 },
    ...more,
  });

/** The n-th token: its id is `id(100 + n)`, its hash n repeated. */
export const issued = (workspaceId: string, version: number, n: number): RecordedWorkspaceFact =>
  fact(workspaceId, version, 'token.issued', {
    tokenId: id(100 + n),
    hash: String(n % 10).repeat(64),
    prefix: 'abcdefgh',
    by: 'api',
    issuedAt: '2026-11-22T12:00:00.000Z',
  });

export const entryOf = (workspaceId: string, parentId: string | null): Pick<DirectoryEntry, 'workspaceId' | 'parentId'> => ({
  workspaceId: workspaceId as WorkspaceId,
  parentId: parentId as WorkspaceId | null,
});
