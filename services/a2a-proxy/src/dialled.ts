/** What is dialled for a stored URL when the platform itself runs in a container (spec 2 §1.5 step 3). */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, id12 } from '@molecule/contracts';
import type { Loops } from '@molecule/service';

const LOOPBACK = 'http://127.0.0.1:';
const ASK_EVERY_MS = 30_000;

/** Pure. A container's own loopback is not where its neighbours are. */
export const rewritten = (url: string, workspaceId: string): string =>
  url.startsWith(LOOPBACK) ? `http://ws-${id12(workspaceId)}:8000` : url;

/** Rewrites only in a container, and only while the provisioner's backend is containers too, which have names on a network. */
export function createDialled(
  bus: Bus,
  { inContainer, loops }: { inContainer: boolean; loops: Loops },
): (url: string, workspaceId: string) => string {
  if (!inContainer) return (url) => url;
  let containers = false;
  loops.every(
    'backend',
    ASK_EVERY_MS,
    async () => {
      const { backend, onHostNetwork } = await ask(bus, asks.provisioner.backend, {});
      containers = backend === 'docker' && !onHostNetwork;
    },
    { immediately: true },
  );
  return (url, workspaceId) => (containers ? rewritten(url, workspaceId) : url);
}
