import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@molecule/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

describe('a runtime as a process (spec 4 §3)', { timeout: 20_000 }, () => {
  let directory: string;
  let child: ChildProcess | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'runtime-'));
    writeFileSync(join(directory, 'config.yaml'), 'name: Ada\nrole: Mathematician\nruntime: echo\n');
  });
  afterEach(() => {
    child?.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  const ready = () => join(directory, 'ready.json');
  const run = (env: Record<string, string> = {}) => {
    child = spawn(process.execPath, [MAIN], {
      env: {
        WORKSPACE_ID: '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f',
        WORKSPACE_CONFIG_PATH: directory,
        CONFIGS_DIR: directory,
        WORKSPACE_PATH: join(directory, 'workspace'),
        PLATFORM_URL: 'http://127.0.0.1:1',
        A2A_PORT: '0',
        A2A_HOST: '127.0.0.1',
        A2A_READY_FILE: ready(),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return child;
  };
  const failure = async (env: Record<string, string>) => {
    const process = run(env);
    const output = process.stdout === null ? '' : await text(process.stdout);
    const [code] = process.exitCode === null ? await once(process, 'exit') : [process.exitCode];
    return { code, output };
  };

  it('listens, describes itself, and stops in order when told to', async () => {
    const process = run();
    const url = await waitFor(() => readReady(), { timeoutMs: 10_000, what: 'the runtime to listen' });
    expect(await (await fetch(`${url}/.well-known/agent-card.json`)).json()).toMatchObject({
      name: 'Ada',
      url,
      capabilities: { streaming: true, pushNotifications: true, stateTransitionHistory: true },
      defaultInputModes: ['text/plain', 'application/json'],
    });
    const description = readFileSync(join(directory, 'workspace', 'AGENTS.md'), 'utf8');
    expect(description).toContain('# Ada');
    expect(description).toContain('**Role:** Mathematician');
    expect(description).toContain(`http://localhost:${new URL(url).port}/a2a`);
    process.kill('SIGTERM');
    expect(await once(process, 'exit')).toEqual([0, null]);
  });

  const readReady = (): string | undefined => {
    try {
      return (JSON.parse(readFileSync(ready(), 'utf8')) as { url: string }).url;
    } catch {
      return undefined;
    }
  };

  it.each([
    ['without a workspace', { WORKSPACE_ID: '' }, 'WORKSPACE_ID'],
    ['without a configuration', { WORKSPACE_CONFIG_PATH: '/nowhere' }, 'ENOENT'],
    ['without its adapter', { ADAPTER_MODULE: 'nobody' }, 'ADAPTER_MODULE: nobody cannot be imported'],
    ['with options that do not exist', { ECHO_CAPABILITIES: 'flying' }, 'no such capability: flying'],
  ])('does not start %s, and says so', async (_, env, reason) => {
    const { code, output } = await failure(env);
    expect(code).toBe(1);
    expect(output).toContain(reason);
  });

  it('does not start without the environment its configuration asks for', async () => {
    writeFileSync(join(directory, 'config.yaml'), 'runtime: echo\nruntime_config:\n  required_env: [API_KEY, OTHER_KEY]\n');
    const { code, output } = await failure({ OTHER_KEY: 'x' });
    expect(code).toBe(1);
    expect(output).toContain('required environment variable API_KEY is not set');
    expect(output).not.toContain('OTHER_KEY is not set');
  });

  it('says its port is taken', async () => {
    run();
    const url = await waitFor(() => readReady(), { timeoutMs: 10_000, what: 'the runtime to listen' });
    const first = child;
    const { code, output } = await failure({ A2A_PORT: new URL(url).port });
    first?.kill('SIGKILL');
    expect(code).toBe(1);
    expect(output).toContain('EADDRINUSE');
  });
});
