import { Refusal, TokenId, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import { scenario } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import {
  change,
  create,
  issueToken,
  issueTokenWithinLimit,
  locate,
  MAX_LIVE_TOKENS,
  type NewWorkspace,
  type Registration,
  register,
  removeDescendant,
  removeRoot,
  replaceTokens,
  revokeToken,
  updateCard,
} from './decisions.ts';
import { autoRestart, hibernate, pause, restart, restartLost, resume, wake } from './lifecycle.ts';
import type { NewToken } from './tokens.ts';
import { workspaceFold } from './workspace.ts';

const { given } = scenario(workspaceFold);
const id = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const parentId = WorkspaceId.parse('1b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const token = (n: number): NewToken => ({
  tokenId: TokenId.parse(`00000000-0000-4000-8000-00000000000${n}`),
  hash: `${n}`.repeat(64),
  prefix: `${n}`.repeat(8),
  issuedAt: '2026-03-02T09:00:00.000Z',
});
const wanted: NewWorkspace = {
  name: 'atlas',
  role: null,
  tier: 3,
  runtime: 'echo',
  external: false,
  url: '',
  parentId: null,
  template: '',
  model: '',
  workspaceDir: null,
  workspaceAccess: 'none',
  maxConcurrentTasks: 1,
  budgetLimit: null,
  canvas: { x: 0, y: 0 },
};
const created: WorkspaceFact = {
  type: 'workspace.created',
  data: { ...wanted, status: 'provisioning', by: 'create', awarenessNamespace: `workspace:${id}` },
};
const external = { ...wanted, external: true, runtime: 'external' };
const createdExternal: WorkspaceFact = { ...created, data: { ...created.data, ...external } };
const moved = (to: 'online' | 'offline' | 'paused' | 'hibernated'): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'provisioning', to, reason: 'heartbeat', clearsUrl: to === 'paused' || to === 'hibernated', event: null },
});
const issued = (n: number, by: 'register' | 'provisioner' = 'register'): WorkspaceFact => ({
  type: 'token.issued',
  data: { ...token(n), by },
});
const revoked = (n: number, by: 'removed' | 'provisioner'): WorkspaceFact => ({
  type: 'token.revoked',
  data: { tokenId: token(n).tokenId, by },
});
const removed: WorkspaceFact = { type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 0 } };
const located = (url: string): WorkspaceFact => ({ type: 'workspace.located', data: { url } });
const registration = (differs: Partial<Registration> = {}): Registration => ({
  url: 'http://agent:8000',
  urlAllowed: true,
  dialable: true,
  agentCard: { name: 'atlas' },
  presented: { kind: 'none' },
  token: token(9),
  openByState: true,
  ...differs,
});
const registered = (from: 'provisioning' | 'online' | 'paused', url = 'http://agent:8000'): WorkspaceFact => ({
  type: 'workspace.registered',
  data: { from, url, internalUrl: 'http://agent:8000', agentCard: { name: 'atlas' } },
});
const circumstances = { pausedAncestor: null, backend: true };

describe('creating a workspace', () => {
  it('begins as provisioning', () =>
    given()
      .when(create(id, wanted, token(1)))
      .then(created));

  it('brings an external one with a URL online', () =>
    given()
      .when(create(id, { ...external, url: 'https://a.example' }, token(1)))
      .then({ ...createdExternal, data: { ...createdExternal.data, url: 'https://a.example' } } as WorkspaceFact, {
        type: 'workspace.status',
        data: {
          from: 'provisioning',
          to: 'online',
          reason: 'created',
          clearsUrl: false,
          event: { type: 'WORKSPACE_ONLINE', payload: { name: 'atlas', external: true } },
        },
      }));

  it('gives an external one without a URL a token, and waits for its agent', () =>
    expect(create(id, external, token(1))({ situation: 'absent' }).map(({ type }) => type)).toEqual([
      'workspace.created',
      'workspace.status',
      'token.issued',
    ]));

  it('is silent when it was created already', () =>
    given(created)
      .when(create(id, wanted, token(1)))
      .thenNothing());
});

describe('registering an agent', () => {
  it('makes the row of an id nobody created, and gives it a token', () => {
    const facts = register(id, registration())({ situation: 'absent' });
    expect(facts).toMatchObject([
      { type: 'workspace.created', data: { name: id, tier: 1, runtime: 'langgraph', status: 'online', by: 'register' } },
      { type: 'workspace.registered', data: { from: 'online' } },
      { type: 'token.issued', data: { by: 'register' } },
    ]);
  });

  it('brings it online, and gives a token to one that has none', () =>
    given(created).when(register(id, registration())).then(registered('provisioning'), issued(9)));

  it('gives no second token to one that shows its own', () =>
    given(created, issued(1))
      .when(register(id, registration({ presented: { kind: 'token', tokenId: token(1).tokenId } })))
      .then(registered('provisioning')));

  it('brings back a paused one', () =>
    given(created, issued(1), moved('paused'))
      .when(register(id, registration({ presented: { kind: 'token', tokenId: token(1).tokenId } })))
      .then(registered('paused')));

  it.each([
    ['none', { kind: 'none' }, 'missing workspace auth token'],
    ['somebody else’s', { kind: 'other' }, 'invalid workspace auth token'],
    ['a dead one', { kind: 'token', tokenId: token(2).tokenId }, 'invalid workspace auth token'],
    ['one that cannot be looked up', { kind: 'unknowable' }, 'platform datastore unavailable'],
  ] as const)('is refused with %s while a token lives', (_, presented, text) =>
    given(created, issued(1))
      .when(register(id, registration({ presented })))
      .thenRefused(text),
  );

  it('is refused without a token in production, though none lives', () =>
    given(created)
      .when(register(id, registration({ openByState: false })))
      .thenRefused('missing workspace auth token'));

  it('keeps the provisioner’s loopback URL, and the reported one for peers', () =>
    given(created, located('http://127.0.0.1:4000'))
      .when(register(id, registration()))
      .then(registered('provisioning', 'http://127.0.0.1:4000'), issued(9)));

  it('is refused with a forbidden URL, before its token is looked at', () =>
    given(created, issued(1))
      .when(register(id, registration({ urlAllowed: false })))
      .thenRefused('invalid request body'));

  const reported = { urlAllowed: false, presented: { kind: 'token', tokenId: token(1).tokenId } } as const;

  it('takes a forbidden URL for peers only from what this platform provisioned', () =>
    given(created, issued(1, 'provisioner'))
      .when(register(id, registration({ ...reported, dialable: false })))
      .then(registered('provisioning', '')));

  it('reaches it there until the provisioner tells where it runs, if that may be dialled', () => {
    given(created, issued(1, 'provisioner'))
      .when(register(id, registration(reported)))
      .then(registered('provisioning', registration().url));
    given(created, located('http://10.0.0.1:4000'), issued(1, 'provisioner'))
      .when(register(id, registration(reported)))
      .then(registered('provisioning', 'http://10.0.0.1:4000'));
  });

  it('I5: leaves a removed one as it is, without a token and without a word', () =>
    given(created, removed).when(register(id, registration())).thenNothing());
});

describe('the card', () => {
  it('is replaced', () =>
    given(created)
      .when(updateCard({ name: 'b' }, { kind: 'none' }, true))
      .then({ type: 'workspace.card', data: { agentCard: { name: 'b' } } }));
  it('of nobody is not', () =>
    given()
      .when(updateCard({}, { kind: 'none' }, true))
      .thenNothing());
  it('of a removed one is not', () =>
    given(created, removed)
      .when(updateCard({}, { kind: 'other' }, true))
      .thenNothing());
});

describe('changing a workspace', () => {
  it('records what differs', () =>
    given(created)
      .when(change({ name: 'borealis', tier: 3, parentId, canvas: { x: 0, y: 1 } }))
      .then(
        { type: 'workspace.changed', data: { name: 'borealis', canvas: { x: 0, y: 1 } } },
        { type: 'workspace.moved', data: { parentId } },
      ));
  it('limits how long it may be idle, once', () => {
    const limited: WorkspaceFact = { type: 'workspace.idle-limited', data: { minutes: 30 } };
    given(created)
      .when(change({ idleMinutes: 30 }))
      .then(limited);
    given(created, limited)
      .when(change({ idleMinutes: 30 }))
      .thenNothing();
  });
  it('is silent when nothing does', () =>
    given(created)
      .when(change({ name: 'atlas', canvas: { x: 0, y: 0 }, role: null, parentId: null }))
      .thenNothing());
  it('counts a removed row as there', () =>
    given(created, removed)
      .when(change({ name: 'x' }))
      .thenNothing());
  it('is refused where there is none', () =>
    given()
      .when(change({ name: 'x' }))
      .thenRefused({ kind: 'not-found' }));
});

describe('where the runtime listens', () => {
  it('is remembered once', () => {
    given(created).when(locate('http://127.0.0.1:4000')).then(located('http://127.0.0.1:4000'));
    given(created, located('http://127.0.0.1:4000')).when(locate('http://127.0.0.1:4000')).thenNothing();
  });
  it('is no news of one that was stopped or removed since', () => {
    given(created, moved('paused')).when(locate('http://127.0.0.1:4000')).thenNothing();
    given(created, removed).when(locate('http://127.0.0.1:4000')).thenNothing();
  });
});

describe('removing', () => {
  it('kills the tokens with it', () =>
    given(created, moved('online'), issued(1), issued(2))
      .when(removeRoot(3))
      .then(
        { type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 3 } },
        revoked(1, 'removed'),
        revoked(2, 'removed'),
      ));
  it('says nothing of a cascade on a descendant', () =>
    given(created)
      .when(removeDescendant)
      .then({ type: 'workspace.removed', data: { from: 'provisioning' } }));
  it('is said again for a root that is removed, and never for what never was', () => {
    given(created, removed)
      .when(removeRoot(0))
      .then({ type: 'workspace.removed', data: { from: 'removed', cascadeDeleted: 0 } });
    given(created, removed).when(removeDescendant).thenNothing();
    given().when(removeRoot(0)).thenNothing();
  });
});

describe('tokens', () => {
  it('are replaced as a whole by the provisioner', () =>
    given(created, issued(1))
      .when(replaceTokens(token(2)))
      .then(revoked(1, 'provisioner'), issued(2, 'provisioner')));
  it('are not replaced twice by the same', () =>
    given(created, issued(2, 'provisioner'))
      .when(replaceTokens(token(2)))
      .thenNothing());
  it('I5: of a removed workspace stay dead', () => {
    given(created, removed)
      .when(replaceTokens(token(2)))
      .thenNothing();
    given(created, removed)
      .when(issueToken(token(2), 'test'))
      .thenRefused('workspace not found');
  });
});

describe('the lifecycle commands', () => {
  it('refuse in the order of the specification', () => {
    given().when(restart(circumstances)).thenRefused('workspace not found');
    given(created, removed).when(restart(circumstances)).thenRefused('workspace not found');
    const blocked = { pausedAncestor: 'boss', backend: false };
    given(created).when(restart(blocked)).thenRefused('parent workspace "boss" is paused — resume it first');
    given(created)
      .when(restart({ ...blocked, pausedAncestor: null }))
      .thenRefused('provisioner not available');
    given(created, moved('paused')).when(pause).thenRefused('workspace not found or already paused');
    given(created).when(resume(circumstances)).thenRefused('workspace not found or not paused');
    given(created, moved('paused')).when(resume(blocked)).thenRefused('provisioner not available');
    given(created)
      .when(hibernate({ activeTasks: 0, force: false }))
      .thenRefused({ kind: 'not-found' });
    given(created, moved('online'))
      .when(hibernate({ activeTasks: 2, force: false }))
      .thenRefused({ kind: 'conflict', body: { active_tasks: 2 } });
  });

  it('restart takes over the runtime of the running container', () => {
    const facts = restart({ ...circumstances, runtime: 'hermes' })(given(created).state());
    expect(facts).toMatchObject([
      { type: 'workspace.changed', data: { runtime: 'hermes' } },
      { data: { to: 'provisioning', clearsUrl: true, event: { payload: { name: 'atlas', tier: 3, runtime: 'hermes' } } } },
    ]);
  });

  it('wake starts what sleeps, and auto-restart does not', () => {
    const asleep = given(created, moved('hibernated'));
    expect(wake(circumstances)(asleep.state())).toMatchObject([{ data: { to: 'provisioning', reason: 'wake' } }]);
    asleep.when(wake({ ...circumstances, backend: false })).thenNothing();
    asleep.when(wake({ ...circumstances, pausedAncestor: 'boss' })).thenNothing();
    given(created, moved('paused')).when(wake(circumstances)).thenNothing();
    asleep.when(autoRestart(circumstances)).thenNothing();
    given(created, moved('offline'))
      .when(autoRestart({ ...circumstances, backend: false }))
      .thenNothing();
  });

  it('restart what was lost, and only while it still is', () => {
    const facts = restartLost(circumstances)(given(created, moved('offline')).state());
    expect(facts).toMatchObject([{ data: { to: 'provisioning', reason: 'auto-restart' } }]);
    for (const status of ['online', 'paused', 'hibernated'] as const)
      given(created, moved(status)).when(restartLost(circumstances)).thenNothing();
    given(created).when(restartLost(circumstances)).thenNothing(); // it is being started
    given(created, removed).when(restartLost(circumstances)).thenNothing();
    given(created, moved('offline'))
      .when(restartLost({ ...circumstances, pausedAncestor: 'boss' }))
      .thenNothing();
  });

  it('carry what a start does beside starting', () => {
    const start = { template: 'echo', resetSession: true };
    expect(restart({ ...circumstances, start })(given(created).state())).toMatchObject([{ data: { to: 'provisioning', start } }]);
    expect(restart(circumstances)(given(created).state())[0]?.data).not.toHaveProperty('start');
  });

  it('throw refusals, nothing else', () => expect(() => pause({ situation: 'absent' })).toThrow(Refusal));
});

describe('minting a token for a workspace (§4.7)', () => {
  const many = (count: number): WorkspaceFact[] =>
    Array.from({ length: count }, (_, n) => ({
      type: 'token.issued',
      data: { ...token(1), tokenId: TokenId.parse(`10000000-0000-4000-8000-${String(n).padStart(12, '0')}`), by: 'api' },
    }));
  const minted: WorkspaceFact = { type: 'token.issued', data: { ...token(2), by: 'api' } };

  it('adds one to those there are', () =>
    given(created, issued(1))
      .when(issueTokenWithinLimit(token(2), null))
      .then(minted));

  it('is refused to a token of it that was revoked meanwhile', () => {
    given(created, issued(1))
      .when(issueTokenWithinLimit(token(2), token(1).tokenId))
      .then(minted);
    given(created, issued(1), issued(3), { type: 'token.revoked', data: { tokenId: token(1).tokenId, by: 'api' } })
      .when(issueTokenWithinLimit(token(2), token(1).tokenId))
      .thenRefused({ kind: 'unauthenticated', message: 'invalid workspace auth token' });
  });

  it('is refused at the fiftieth live one; a revoked one makes room', () => {
    given(created, ...many(MAX_LIVE_TOKENS - 1))
      .when(issueTokenWithinLimit(token(2), null))
      .then(minted);
    given(created, ...many(MAX_LIVE_TOKENS))
      .when(issueTokenWithinLimit(token(2), null))
      .thenRefused({ kind: 'too-many', message: 'maximum 50 active tokens per workspace' });
    given(created, ...many(MAX_LIVE_TOKENS), {
      type: 'token.revoked',
      data: { tokenId: TokenId.parse('10000000-0000-4000-8000-000000000000'), by: 'api' },
    })
      .when(issueTokenWithinLimit(token(2), null))
      .then(minted);
  });

  it('is refused to a workspace that is not there', () =>
    given()
      .when(issueTokenWithinLimit(token(2), null))
      .thenRefused({ kind: 'failed', message: 'failed to create token' }));
});

describe('revoking a token of a workspace (§4.7)', () => {
  it('ends it', () =>
    given(created, issued(1), issued(2))
      .when(revokeToken(token(1).tokenId))
      .then({ type: 'token.revoked', data: { tokenId: token(1).tokenId, by: 'api' } }));

  it('tells unknown, revoked and foreign ones apart to nobody (§9 #20)', () => {
    const refusal = { kind: 'not-found', message: 'token not found or already revoked' };
    given(created, issued(1))
      .when(revokeToken(token(2).tokenId))
      .thenRefused(refusal);
    given(created, issued(1), revoked(1, 'provisioner'))
      .when(revokeToken(token(1).tokenId))
      .thenRefused(refusal);
    given(created, issued(1)).when(revokeToken('nonsense')).thenRefused(refusal);
    given()
      .when(revokeToken(token(1).tokenId))
      .thenRefused(refusal);
  });
});
