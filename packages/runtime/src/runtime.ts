/**
 * A runtime from boot to shutdown, in the order of spec 4 §3.1, but that it listens before it registers: whoever hears that the
 * workspace is online can call it.
 */

import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { A2aServer } from './a2a/server.ts';
import type { AdapterConfig } from './adapter.ts';
import { toWire } from './capabilities.ts';
import { agentsMarkdown, registeredCard, servedCard } from './card.ts';
import { loadConfig, type WorkspaceConfig } from './config.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Log } from './log.ts';
import { Platform } from './platform.ts';
import { loadAdapter, preflight } from './preflight.ts';
import { readSettings, type Settings } from './settings.ts';
import { TokenFile } from './token-file.ts';
import { Wedge } from './wedge.ts';

export interface Runtime {
  readonly port: number;
  readonly url: string;
  /** Stops beating, lets messages at work end within `graceMs`, closes the port. */
  stop(graceMs: number): Promise<void>;
}

/** Rejects when the agent cannot start, saying why; then nothing is left running. */
export async function startRuntime(env: NodeJS.ProcessEnv, log: Log): Promise<Runtime> {
  const settings = readSettings(env, existsSync('/.dockerenv'));
  await makeWritable(settings.workspacePath);
  const config = await loadConfig(settings.configPath, settings.modelProvider);
  const wantedPort = settings.a2aPort ?? config.a2a.port;

  const Adapter = await loadAdapter(settings.adapterModule);
  const { failures, warnings } = await preflight(config, {
    adapter: Adapter,
    configPath: settings.configPath,
    port: wantedPort,
    env,
  });
  for (const warning of warnings) log.warn({}, warning);
  await describeAgent(settings, config, wantedPort, log);
  if (failures.length > 0)
    throw new Error(`the workspace is not fit to start:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);

  const wedge = new Wedge(() => heartbeat.nudge());
  const token = new TokenFile(settings.configsDir);
  const platform = new Platform(settings.platformUrl);
  const adapter = new Adapter();
  let url = settings.selfUrl(wantedPort);
  const heartbeat = new Heartbeat({
    workspaceId: settings.workspaceId,
    platform,
    token,
    wedge,
    intervalMs: settings.heartbeatIntervalMs,
    metadata: () => ({
      capabilities: toWire(adapter.capabilities()),
      ...((adapter.idleTimeoutOverride() ?? 0) > 0 ? { idle_timeout_seconds: adapter.idleTimeoutOverride() } : {}),
    }),
    registration: () => ({ id: settings.workspaceId, url, agent_card: registeredCard(config, adapter, url) }),
    log,
    random: Math.random,
  });

  const adapterConfig: AdapterConfig = {
    model: config.model,
    systemPrompt: null,
    tools: config.skills,
    runtimeConfig: config.runtime_config,
    configPath: settings.configPath,
    workspaceId: settings.workspaceId,
    promptFiles: config.prompt_files,
    a2aPort: wantedPort,
    heartbeat,
    wedge,
    env,
    log,
  };
  await adapter.setup(adapterConfig);
  const executor = await adapter.createExecutor(adapterConfig);

  const server = new A2aServer({ card: () => servedCard(config, adapter, url), adapter, executor, token, heartbeat, log });
  const port = await server.listen(wantedPort, settings.a2aHost);
  url = settings.selfUrl(port);
  if (wantedPort === 0) await describeAgent(settings, config, port, log);
  await announce(settings, port, url);
  log.info({ port, url, adapter: Adapter.name() }, 'listening');
  heartbeat.start();

  return {
    port,
    url,
    stop: async (graceMs) => {
      await Promise.all([heartbeat.stop(), server.close(graceMs)]);
      platform.close();
    },
  };
}

/** Best effort. In an image others than this process write there too; a directory of the host keeps the mode its owner gave it. */
async function makeWritable(workspace: string): Promise<void> {
  for (const directory of [workspace, join(workspace, '.molecule', 'chat-uploads')]) {
    await mkdir(directory, { recursive: true })
      .then(() => (workspace === '/workspace' ? chmod(directory, 0o777) : undefined))
      .catch(() => {});
  }
}

async function describeAgent(
  { workspacePath, agentUrl }: Settings,
  config: WorkspaceConfig,
  port: number,
  log: Log,
): Promise<void> {
  const endpoint = agentUrl ?? `http://localhost:${port}/a2a`;
  await writeFile(join(workspacePath, 'AGENTS.md'), agentsMarkdown(config, endpoint)).catch((error: Error) =>
    log.warn({ reason: error.message }, 'AGENTS.md could not be written'),
  );
}

/** The ready file appears whole, so that a reader never sees half of it. */
async function announce({ readyFile }: Settings, port: number, url: string): Promise<void> {
  if (readyFile === undefined) return;
  await writeFile(`${readyFile}.tmp`, JSON.stringify({ pid: process.pid, port, url }));
  await rename(`${readyFile}.tmp`, readyFile);
}
