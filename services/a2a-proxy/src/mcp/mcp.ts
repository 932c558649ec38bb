/** The MCP endpoint put together: its routes, its streams and their signs of life, its figures. */
import type { RawRoute, WithContext } from '@molecule/http';
import { type Basics, exposeCounter, exposeGauge, type Scope } from '@molecule/service';
import type { Hono } from 'hono';
import type { Parts } from '../parts.ts';
import { BearerLimit } from './limit.ts';
import { mcpRoutes } from './routes.ts';
import { McpStreams, PING_EVERY_MS } from './streams.ts';
import { type ToolParts, Tools } from './tools.ts';

export interface McpParts extends ToolParts, Pick<Parts, 'clock'>, Pick<Basics, 'loops' | 'metrics'> {
  readonly scope: Scope;
  readonly isStopping: () => boolean;
}

/** The raw routes; the others are put on `app`. */
export async function openMcp(app: Hono<WithContext>, parts: McpParts): Promise<RawRoute[]> {
  const { directory, toUser, clock, loops, metrics, scope, log, isStopping } = parts;
  const limit = new BearerLimit(() => clock.monotonicMs());
  const streams = await scope.open(
    () => new McpStreams(),
    async (open) => open.close(),
  );
  directory.onChange((_fact, { workspaceId }) => streams.judge(workspaceId));
  directory.onAccessEnded(() => streams.judge());
  loops.every('mcp-streams', PING_EVERY_MS, async () => streams.ping());
  exposeGauge(metrics, { name: 'mcp_streams', help: 'Open MCP streams.', read: () => streams.size });
  exposeCounter(metrics, {
    name: 'mcp_rate_limited_total',
    help: 'MCP requests since the start that were one too many.',
    read: () => limit.refused,
  });
  return mcpRoutes(app, { tools: new Tools(parts), toUser, limit, streams, directory, log, isStopping });
}
