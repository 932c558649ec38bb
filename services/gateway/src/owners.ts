/**
 * Which service answers a path (design D3). The table is closed: what matches nothing is a 404 at the edge.
 *
 *   O1. The first row that matches counts. Rows are specific: the order decides nothing that the look-up tree could decide otherwise.
 *   O2. Matching is by raw path segments, undecoded: an encoded slash or dot never moves a path to another owner.
 *   O3. `:name` stands for one segment that is not empty; a final `/*` for the path itself and everything below it.
 */
import type { ServiceName } from '@molecule/contracts';

export type OwnerRow = readonly [pattern: string, owner: ServiceName];

export interface Owned {
  readonly owner: ServiceName;
  /** For metrics: the pattern of the path, never a concrete id (spec 1 §7). */
  readonly label: string;
  readonly row: OwnerRow;
}

export const OWNERS = [
  // The edge itself.
  ['/health', 'gateway'],
  ['/metrics', 'gateway'],
  ['/ws', 'gateway'],
  ['/openapi.json', 'gateway'],
  ['/asyncapi.json', 'gateway'],
  ['/docs', 'gateway'],
  ['/admin/liveness', 'gateway'],
  ['/admin/health', 'gateway'],
  ['/admin/rebuild', 'gateway'],
  ['/admin/parked/*', 'gateway'],
  ['/registry/heartbeat', 'gateway'],
  ['/workspaces/:id/events/*', 'gateway'],

  // Workspaces, their structure, their tokens and their data.
  ['/registry/register', 'registry'],
  ['/registry/update-card', 'registry'],
  ['/registry/check-access', 'registry'],
  ['/registry/discover/:id', 'registry'],
  ['/registry/:id/peers', 'registry'],
  ['/workspaces', 'registry'],
  ['/workspaces/:id', 'registry'],
  ['/workspaces/:id/state', 'registry'],
  ['/workspaces/:id/explain', 'registry'],
  ['/workspaces/:id/restart', 'registry'],
  ['/workspaces/:id/pause', 'registry'],
  ['/workspaces/:id/resume', 'registry'],
  ['/workspaces/:id/hibernate', 'registry'],
  ['/workspaces/:id/expand', 'registry'],
  ['/workspaces/:id/collapse', 'registry'],
  ['/workspaces/:id/agent/*', 'registry'],
  ['/workspaces/:id/config', 'registry'],
  ['/workspaces/:id/budget', 'registry'],
  ['/workspaces/:id/tokens/*', 'registry'],
  ['/workspaces/:id/approvals/*', 'registry'],
  ['/workspaces/:id/checkpoints/*', 'registry'],
  ['/workspaces/:id/memory/*', 'registry'],
  ['/workspaces/:id/memories/*', 'registry'],
  ['/workspaces/:id/audit', 'registry'],
  ['/workspaces/:id/instructions/*', 'registry'],
  ['/admin/workspaces/:id/bootstrap-failed', 'registry'],
  ['/admin/workspaces/:id/test-token', 'registry'],
  ['/admin/memories/*', 'registry'],
  ['/instructions/*', 'registry'],
  ['/org/tokens/*', 'registry'],
  ['/session', 'registry'],
  ['/admin/access', 'registry'],
  ['/events/*', 'registry'],
  ['/approvals/*', 'registry'],
  ['/canvas/viewport', 'registry'],

  // What is said between agents, and what became of it.
  ['/workspaces/:id/a2a', 'a2a-proxy'],
  ['/workspaces/:id/a2a/queue/*', 'a2a-proxy'],
  ['/workspaces/:id/a2a/.well-known/*', 'a2a-proxy'],
  ['/workspaces/:id/activity/*', 'a2a-proxy'],
  ['/workspaces/:id/notify', 'a2a-proxy'],
  ['/workspaces/:id/delegate', 'a2a-proxy'],
  ['/workspaces/:id/delegations/*', 'a2a-proxy'],
  ['/workspaces/:id/session-search', 'a2a-proxy'],
  ['/workspaces/:id/metrics', 'a2a-proxy'],
  ['/workspaces/:id/traces', 'a2a-proxy'],
  ['/workspaces/:id/transcript', 'a2a-proxy'],
  ['/workspaces/:id/mcp/*', 'a2a-proxy'],
  ['/workspaces/:id/channels/*', 'a2a-proxy'],
  ['/channels/*', 'a2a-proxy'],
  ['/webhooks/*', 'a2a-proxy'],
  ['/admin/audit', 'a2a-proxy'],
  ['/admin/a2a-queue/*', 'a2a-proxy'],
  ['/admin/trace/*', 'a2a-proxy'],

  ['/workspaces/:id/schedules/*', 'scheduler'],
  ['/admin/schedules/*', 'scheduler'],

  // Where agents run, and what they run with.
  ['/workspaces/:id/console', 'provisioner'],
  ['/workspaces/:id/chat/*', 'provisioner'],
  ['/workspaces/:id/terminal', 'provisioner'],
  ['/workspaces/:id/files/*', 'provisioner'],
  ['/workspaces/:id/shared-context', 'provisioner'],
  ['/workspaces/:id/secrets/*', 'provisioner'],
  ['/workspaces/:id/model', 'provisioner'],
  ['/workspaces/:id/plugins/*', 'provisioner'],
  ['/workspaces/:id/artifacts/*', 'provisioner'],
  ['/workspaces/:id/github-installation-token', 'provisioner'],
  ['/admin/workspace-images/*', 'provisioner'],
  ['/admin/secrets/*', 'provisioner'],
  ['/admin/github-installation-token', 'provisioner'],
  ['/settings/*', 'provisioner'],
  ['/templates/*', 'provisioner'],
  ['/org/templates/*', 'provisioner'],
  ['/org/import', 'provisioner'],
  ['/orgs/*', 'provisioner'],
  ['/bundles/*', 'provisioner'],
  ['/plugins/*', 'provisioner'],

  ['/admin/sweeps/*', 'sweeper'],
] as const satisfies readonly OwnerRow[];

interface Node {
  readonly literals: Map<string, Node>;
  param: Node | undefined;
  /** Who owns the path that ends here. */
  here: Owned | undefined;
  /** Who owns everything below. */
  below: Owned | undefined;
}

const node = (): Node => ({ literals: new Map(), param: undefined, here: undefined, below: undefined });

/** A look-up tree over `rows`; its answer is that of a scan from the top (O1, tested). */
export function ownerLookup(rows: readonly OwnerRow[]): (path: string) => Owned | undefined {
  const root = node();
  for (const row of rows) {
    const [pattern, owner] = row;
    const below = pattern.endsWith('/*');
    const label = below ? pattern.slice(0, -2) : pattern;
    const at = label.split('/').slice(1).reduce(step, root);
    at.here ??= { owner, label, row };
    if (below) at.below ??= { owner, label: pattern, row };
  }
  return (path) => find(root, path, 1);
}

function step(at: Node, segment: string): Node {
  if (segment.startsWith(':')) {
    at.param ??= node();
    return at.param;
  }
  const known = at.literals.get(segment) ?? node();
  at.literals.set(segment, known);
  return known;
}

/** Walks segment by segment from `start`, the index after a slash; no array is made. */
function find(at: Node, path: string, start: number): Owned | undefined {
  if (start > path.length) return at.here;
  const slash = path.indexOf('/', start);
  const end = slash === -1 ? path.length : slash;
  const segment = path.slice(start, end);
  const literal = at.literals.get(segment);
  const found = literal === undefined ? undefined : find(literal, path, end + 1);
  if (found !== undefined) return found;
  const under = at.param === undefined || segment === '' ? undefined : find(at.param, path, end + 1);
  return under ?? at.below;
}

/** Who owns a path (without query), or nobody. */
export const ownerOf: (path: string) => Owned | undefined = ownerLookup(OWNERS);

/** A route as a service declares it. */
export interface DeclaredRoute {
  readonly service: ServiceName;
  readonly method: string;
  readonly path: string;
}

/** Compares what services say they answer with the table: one sentence for each route that has no owner, another one, or two. */
export function ownersOf(routes: readonly DeclaredRoute[], rows: readonly OwnerRow[] = OWNERS): string[] {
  const lookup = ownerLookup(rows);
  const declared = new Map<string, ServiceName>();
  const problems: string[] = [];
  for (const { service, method, path } of routes) {
    const name = `${method} ${path}`;
    const other = declared.get(name);
    if (other !== undefined && other !== service) problems.push(`${name} is answered by ${other} and by ${service}`);
    declared.set(name, service);

    const owned = lookup(withoutConstraints(path));
    if (owned === undefined) problems.push(`${name} of ${service} has no owner: add a row to OWNERS`);
    else if (owned.owner !== service) problems.push(`${name} of ${service} goes to ${owned.owner} by the row ${owned.row[0]}`);
  }
  return problems;
}

/** `/files/:path{.+}` → `/files/:path`; `/files/*` → `/files/*`: as segments they are looked up like any other. */
const withoutConstraints = (path: string): string => path.replaceAll(/\{[^}]*\}\??/g, '');
