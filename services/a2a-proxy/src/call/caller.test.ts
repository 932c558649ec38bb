import { type Identity, type Principal, principalOf } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { answers } from './answer.ts';
import { identifyCaller, limitOf } from './caller.ts';

const target = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
const other = '1b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
const third = '2b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';

const principal = (identity: Identity, tokensKnown = true): Principal => principalOf(identity, { tokensKnown });
const anonymous = principal({ kind: 'anonymous' });
const workspace = (workspaceId: string) => principal({ kind: 'workspace', workspaceId, tokenId: third });

const identify = (header: string, who: Principal, { tokens = 1, mode = 'default' as 'default' | 'production' } = {}) =>
  identifyCaller({ header, target, principal: who, mode, liveTokens: () => tokens });

describe('who calls', () => {
  it('is the canvas without a header, whatever the bearer', () => {
    for (const who of [anonymous, workspace(other), principal({ kind: 'unknown-token' }, false)])
      expect(identify('', who)).toEqual({ caller: { source: 'canvas', id: null, name: '' } });
  });

  it('is the workspace itself with its own id', () =>
    expect(identify(target, anonymous)).toEqual({ caller: { source: 'self', id: target, name: target } }));

  it.each(['system:restart-context', 'webhook:github', 'test:x', 'channel:slack', 'system:'])('is never %s by header', (name) => {
    expect(identify(name, anonymous)).toEqual({ answer: answers.invalidCaller });
    expect(identify(name, principal({ kind: 'admin' }))).toEqual({ answer: answers.invalidCaller });
  });

  it('is another workspace with its own token, or without one as long as it has none', () => {
    const caller = { source: 'workspace', id: other, name: other };
    expect(identify(other, workspace(other))).toEqual({ caller });
    expect(identify(other, anonymous, { tokens: 0 })).toEqual({ caller });
  });

  it('is nobody without the token it has, and with somebody else’s', () => {
    expect(identify(other, anonymous)).toEqual({ answer: answers.missingCallerToken });
    for (const who of [workspace(third), workspace(target), principal({ kind: 'unknown-token' }), principal({ kind: 'admin' })])
      expect(identify(other, who)).toEqual({ answer: answers.invalidCallerToken });
  });

  it('is unknown while tokens cannot be looked up: no door opens', () =>
    expect(identify(other, principal({ kind: 'anonymous' }, false), { tokens: 0 })).toEqual({ answer: answers.unavailable }));

  it('is who a service of ours says', () => {
    const service = (name: string, as: string) => identify('ignored', principal({ kind: 'service', service: name, as }));
    expect(service('scheduler', '')).toEqual({ caller: { source: 'schedule', id: null, name: '' } });
    expect(service('registry', '')).toEqual({ caller: { source: 'canvas', id: null, name: '' } });
    expect(service('registry', 'system:restart-context')).toEqual({
      caller: { source: 'system', id: null, name: 'system:restart-context' },
    });
    expect(service('a2a-proxy', other)).toEqual({ caller: { source: 'workspace', id: other, name: other } });
  });

  it('must show who it is in production mode', () => {
    const production = { mode: 'production' as const };
    for (const header of ['', target]) {
      expect(identify(header, anonymous, production)).toEqual({ answer: answers.missingToken });
      expect(identify(header, workspace(other), production)).toEqual({ answer: answers.invalidToken });
      expect(identify(header, workspace(target), production)).toHaveProperty('caller');
      expect(identify(header, principal({ kind: 'admin' }), production)).toHaveProperty('caller');
    }
    expect(identify(other, anonymous, { ...production, tokens: 0 })).toEqual({ answer: answers.missingCallerToken });
  });

  it('is the canvas in production mode with a session or an org token, while both can be looked up', () => {
    const production = { mode: 'production' as const };
    const session = { kind: 'canvas', id: third } as const;
    const org = { kind: 'org', tokenId: third, prefix: 'abcdefgh', orgId: '' } as const;
    const canvas = { caller: { source: 'canvas', id: null, name: '' } };
    expect(identify('', principalOf({ kind: 'anonymous' }, { session }), production)).toEqual(canvas);
    expect(identify('', principalOf(org), production)).toEqual(canvas);
    for (const who of [
      principalOf({ kind: 'anonymous' }, { session, tokensKnown: false }),
      principalOf(org, { tokensKnown: false }),
      principal({ kind: 'unknown-token' }, false),
    ])
      expect(identify('', who, production)).toEqual({ answer: answers.unavailable });
    expect(identify('', principalOf({ kind: 'unknown-token' }, { session }), production)).toEqual({
      answer: answers.invalidToken,
    });
  });
});

describe('how long a call may take', () => {
  const canvas = { source: 'canvas', id: null, name: '' } as const;
  const system = { source: 'system', id: null, name: 'system:x' } as const;

  it('is as long as it takes for the canvas, and half an hour for everybody else', () => {
    expect(limitOf(canvas, '')).toBe(Number.POSITIVE_INFINITY);
    expect(limitOf(system, '')).toBe(1_800_000);
  });

  it('is what the caller says, if it is a number of seconds above 0', () => {
    expect(limitOf(canvas, '5')).toBe(5_000);
    expect(limitOf(system, '7200')).toBe(7_200_000);
    for (const odd of ['0', '-1', '1.5', '5s', 'x', '1e3']) expect(limitOf(canvas, odd)).toBe(Number.POSITIVE_INFINITY);
  });
});
