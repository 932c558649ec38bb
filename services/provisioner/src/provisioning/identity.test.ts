import { describe, expect, it } from 'vitest';
import type { Blueprint } from './blueprints.ts';
import { agentEnvironment, slug } from './identity.ts';

const blueprint: Blueprint = {
  name: ' Ada L. ',
  role: null,
  tier: 2,
  runtime: 'langgraph',
  template: '',
  model: '',
  workspaceDir: null,
  workspaceAccess: 'none',
  awarenessNamespace: '',
  ofTeam: false,
};
const environment = (change: Partial<Blueprint> = {}, given: Record<string, string> = {}, awarenessUrl = '') =>
  agentEnvironment({ ...blueprint, ...change }, { workspaceId: 'w1', parentId: 'p1', awarenessUrl, given });

it.each([
  ['Ada L.', 'ada-l'],
  ['  --Über  Agent 7! ', 'ber-agent-7'],
  ['…', ''],
])('the slug of %j is %j', (name, expected) => expect(slug(name)).toBe(expected));

describe('the environment of an agent (spec 3 §1.6)', () => {
  it('has a git identity made of its name', () =>
    expect(environment()).toEqual({
      GIT_AUTHOR_NAME: 'Molecule AI Ada L.',
      GIT_COMMITTER_NAME: 'Molecule AI Ada L.',
      GIT_AUTHOR_EMAIL: 'ada-l@agents.moleculesai.app',
      GIT_COMMITTER_EMAIL: 'ada-l@agents.moleculesai.app',
    }));
  it('has none for a nameless workspace', () => expect(environment({ name: ' ' })).toEqual({}));
  it('keeps what is given, an empty value too', () =>
    expect(environment({}, { GIT_AUTHOR_NAME: '' })).toMatchObject({ GIT_AUTHOR_NAME: '' }));
  it('says its role', () => expect(environment({ role: 'Poet' })).toMatchObject({ MOLECULE_AGENT_ROLE: 'Poet' }));
  it('says whose team it is of, to those that a team was expanded into', () => {
    expect(environment({ ofTeam: true })).toMatchObject({ PARENT_ID: 'p1' });
    expect(environment()).not.toHaveProperty('PARENT_ID');
  });
  it('has the model for hermes alone', () => {
    expect(environment({ model: 'm', runtime: 'hermes' })).toMatchObject({ HERMES_DEFAULT_MODEL: 'm' });
    expect(environment({ runtime: 'hermes' }, { MODEL_PROVIDER: 'p' })).toMatchObject({ HERMES_DEFAULT_MODEL: 'p' });
    expect(environment({ model: 'm' })).not.toHaveProperty('HERMES_DEFAULT_MODEL');
  });
  it('has both awareness variables or neither', () => {
    expect(environment({}, {}, 'http://a')).toMatchObject({ AWARENESS_URL: 'http://a', AWARENESS_NAMESPACE: 'workspace:w1' });
    expect(environment({ awarenessNamespace: 'n' })).not.toHaveProperty('AWARENESS_NAMESPACE');
  });
});
