/** Facts and entries for this package's tests. */
import type { DirectoryEntry, RecordedWorkspaceFact, TokenId, WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import { type CreatedData, createdData, recordedFact } from '@molecule/testkit';

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
): RecordedWorkspaceFact => {
  const recordedAt = new Date(Date.UTC(2026, 10, 22, 12, 0, second));
  return recordedFact({ type, data } as WorkspaceFact, { workspaceId, version, recordedAt });
};

/** As it is decided, and as it is recorded. */
export const creation = (more: Partial<CreatedData> = {}): WorkspaceFact => ({
  type: 'workspace.created',
  data: createdData(more),
});
export const created = (workspaceId: string, more: Partial<CreatedData> = {}): RecordedWorkspaceFact =>
  fact(workspaceId, 1, 'workspace.created', createdData(more));

export const renamed = (name: string): WorkspaceFact => ({ type: 'workspace.changed', data: { name } });

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
