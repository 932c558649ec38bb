import { describe, expect, it } from 'vitest';
import { readSettings } from './settings.ts';

const read = (env: Record<string, string> = {}, inContainer = false) => readSettings({ WORKSPACE_ID: 'w1', ...env }, inContainer);

describe('the settings of a runtime (spec 4 §1.2)', () => {
  it('cannot be without a workspace, and tell all mistakes at once', () => {
    const mistakes = () => readSettings({ WORKSPACE_ID: '', A2A_PORT: 'x', HEARTBEAT_INTERVAL_SECONDS: '0' }, false);
    expect(mistakes).toThrow(/WORKSPACE_ID/);
    expect(mistakes).toThrow(/A2A_PORT/);
    expect(mistakes).toThrow(/HEARTBEAT_INTERVAL_SECONDS/);
  });
  it('find the platform where they are', () => {
    expect(read().platformUrl).toBe('http://localhost:8080');
    expect(read({}, true).platformUrl).toBe('http://host.docker.internal:8080');
    expect(read({ DOCKER_VERSION: '28' }).platformUrl).toBe('http://host.docker.internal:8080');
    expect(read({ PLATFORM_URL: 'http://platform:8080/' }, true).platformUrl).toBe('http://platform:8080');
  });
  it('call the agent by its host name, by the one address it listens on, or as told', () => {
    expect(read({ HOSTNAME: 'box' }).selfUrl(8000)).toBe('http://box:8000');
    expect(read({ HOSTNAME: 'box', A2A_HOST: '127.0.0.1' }).selfUrl(4100)).toBe('http://127.0.0.1:4100');
    expect(read({ HOSTNAME: 'box', AGENT_SELF_URL: 'http://ws-1:8000/' }).selfUrl(1)).toBe('http://ws-1:8000');
    expect(read({ HOSTNAME: '' }).selfUrl(8000)).toMatch(/^http:\/\/[\d.]+:8000$/);
  });
  it('beat every 30 seconds', () => expect(read().heartbeatIntervalMs).toBe(30_000));
});
