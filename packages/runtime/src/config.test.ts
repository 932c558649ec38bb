import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

describe('config.yaml (spec 4 §13)', () => {
  it('has a default for everything', () =>
    expect(parseConfig('')).toMatchObject({
      name: 'Workspace',
      version: '1.0.0',
      tier: 1,
      model: 'anthropic:claude-opus-4-7',
      runtime: 'langgraph',
      idle_interval_seconds: 600,
      skills: [],
      a2a: { port: 8000, streaming: true, push_notifications: true },
      delegation: { retry_attempts: 3, retry_delay: 5, timeout: 120, escalate: true },
      runtime_config: { command: '', args: [], required_env: [], timeout: 0, model: '' },
      rbac: { roles: ['operator'], allowed_actions: {} },
    }));
  it('takes an empty value for the default', () =>
    expect(parseConfig('name: Ada\nrole:\na2a:\n  port:\nruntime_config:\n')).toMatchObject({
      name: 'Ada',
      role: '',
      a2a: { port: 8000 },
      runtime_config: { timeout: 0 },
    }));
  it('ignores keys it does not know, and keeps those of the adapter', () => {
    const config = parseConfig('colour: blue\nruntime_config:\n  busy: reset\n');
    expect(config).not.toHaveProperty('colour');
    expect(config.runtime_config['busy']).toBe('reset');
  });
  it('reads a version that YAML takes for a number', () => expect(parseConfig('version: 2').version).toBe('2'));
  it('says what is of the wrong type', () => expect(() => parseConfig('skills: greet\ntier: high')).toThrow(/skills.*\n.*|tier/));
  it.each(['- a list', 'just text', '{'])('refuses %j', (source) => expect(() => parseConfig(source)).toThrow());
});
