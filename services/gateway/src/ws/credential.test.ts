/** Which rights end when: the table of credentials against what the directory shows. */
import { type AnyRecordedFact, type DirectoryEntry, PLATFORM, principalOf, TokenId } from '@molecule/contracts';
import { recordedFact, removed } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { type Credential, credentialOf, isConcerned, isOver, LASTING, mayEndRights } from './credential.ts';

const tokenId = TokenId.parse('00000000-0000-4000-8000-000000000001');
const otherId = TokenId.parse('00000000-0000-4000-8000-000000000002');
const held: Credential = { kind: 'workspace-token', workspaceId: 'w', tokenId };
const tokenless: Credential = { kind: 'tokenless', workspaceId: 'w' };
const unjudgeable: Credential = { kind: 'unjudgeable' };
const access: Credential = { kind: 'access', id: tokenId };

type Shown = Pick<DirectoryEntry, 'status' | 'tokens'>;
const entry = (status: Shown['status'], ...ids: TokenId[]): Shown => ({
  status,
  tokens: ids.map((id) => ({ tokenId: id, hash: 'h' })),
});

describe('a right', () => {
  it.each([
    ['its token lives', held, entry('online', otherId, tokenId), false],
    ['its token was revoked', held, entry('online', otherId), true],
    ['its workspace was removed', held, entry('removed', tokenId), true],
    ['its workspace is not known', held, undefined, true],
    ['there is no token yet', tokenless, entry('online'), false],
    ['there is a first token', tokenless, entry('online', tokenId), true],
    ['the workspace without a token was removed', tokenless, entry('removed'), true],
    ['the workspace without a token is not known', tokenless, undefined, false],
    ['nothing had to be shown', LASTING, entry('removed'), false],
    ['it cannot be judged again', unjudgeable, entry('online'), true],
  ] as const)('when %s', (_, credential, shown, over) =>
    expect(isOver(credential, { get: () => shown, hasAccess: () => false })).toBe(over),
  );

  it.each([true, false])('of an org token or a session lasts as long as that opens doors: %s', (opens) =>
    expect(isOver(access, { get: () => undefined, hasAccess: (id) => opens && id === tokenId })).toBe(!opens),
  );

  it('is looked at again for what concerns it', () => {
    const concerned = (credential: Credential) => ['w', 'other', PLATFORM].filter((id) => isConcerned(credential, id));
    expect([held, tokenless, LASTING, access, unjudgeable].map(concerned)).toEqual([['w'], ['w'], [], [PLATFORM], [PLATFORM]]);
  });
});

it('is given by what let somebody in', () => {
  const admin = principalOf({ kind: 'admin' });
  const nobody = principalOf({ kind: 'anonymous' });
  expect(credentialOf(principalOf({ kind: 'workspace', workspaceId: 'w', tokenId }))).toEqual(held);
  expect([admin, nobody].map(credentialOf)).toEqual([LASTING, LASTING]);
  expect(credentialOf({ ...nobody, session: { kind: 'canvas', id: tokenId } })).toEqual(access);
  expect(credentialOf({ ...nobody, session: { kind: 'control-plane', id: 'u' } })).toEqual(unjudgeable);
  expect(credentialOf(principalOf({ kind: 'org', tokenId, prefix: 'abcdefgh', orgId: '' }))).toEqual(access);
});

describe('a fact may end rights', () => {
  const fact = (one: Parameters<typeof recordedFact>[0]): AnyRecordedFact => recordedFact(one, { workspaceId: 'w', version: 2 });
  it.each([
    ['removal', removed, true],
    ['revocation', { type: 'token.revoked', data: { tokenId, by: 'api' } }, true],
    [
      'the end of a token with its workspace: the removal follows',
      { type: 'token.revoked', data: { tokenId, by: 'removed' } },
      false,
    ],
    ['an org token’s end', { type: 'access.token-revoked', data: { tokenId } }, true],
    ['a sign-out', { type: 'access.session-closed', data: { sessionId: tokenId, reason: 'logout' } }, true],
    ['a move', { type: 'workspace.moved', data: { parentId: null } }, false],
  ] as const)('%s', (_, one, may) => expect(mayEndRights(fact(one))).toBe(may));
});
