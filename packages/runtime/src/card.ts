/** How an agent describes itself: its card to the platform and its peers, AGENTS.md to whoever looks into the workspace. */
import type { BaseAdapter } from './adapter.ts';
import type { WorkspaceConfig } from './config.ts';

/** What `POST /registry/register` carries (spec 4 §5.1). */
export const registeredCard = (config: WorkspaceConfig, adapter: BaseAdapter, url: string): object => ({
  name: config.name,
  description: config.description || config.name,
  version: config.version,
  url,
  skills: adapter.loadedSkills.map(({ id, name, description, tags }) => ({ id, name, description, tags })),
  capabilities: { streaming: config.a2a.streaming, pushNotifications: config.a2a.push_notifications },
});

/** What the well-known paths serve (spec 4 §6.1). */
export const servedCard = (config: WorkspaceConfig, adapter: BaseAdapter, url: string): object => ({
  ...registeredCard(config, adapter, url),
  preferredTransport: 'JSONRPC',
  supportedInterfaces: [{ url, protocolBinding: 'https://a2a.g/v1' }],
  capabilities: {
    streaming: config.a2a.streaming,
    pushNotifications: config.a2a.push_notifications,
    stateTransitionHistory: true,
  },
  skills: adapter.loadedSkills,
  defaultInputModes: ['text/plain', 'application/json'],
  defaultOutputModes: ['text/plain', 'application/json'],
});

/** `/workspace/AGENTS.md` (spec 4 §3.1 step 4). */
export function agentsMarkdown(config: WorkspaceConfig, endpoint: string): string {
  const tools = [...config.tools, ...config.plugins];
  return [
    `# ${config.name}`,
    `**Role:** ${config.role || config.description}`,
    `## Description\n\n${config.description}`,
    `## A2A Endpoint\n\n${endpoint}`,
    `## MCP Tools\n\n${tools.length === 0 ? 'None' : tools.map((tool) => `- ${tool}`).join('\n')}`,
  ]
    .join('\n\n')
    .concat('\n');
}
