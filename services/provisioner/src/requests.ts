/** What other services may ask of the provisioner. No rule lives here but I8's last look. */
import type { RequestServer } from '@molecule/bus';
import { ask, id12 } from '@molecule/contracts';
import { workspaceWithPrefix } from './container/projections/container-list.ts';
import type { Parts } from './parts.ts';
import { runtimeIn } from './provisioning/configured-runtime.ts';
import type { Runs } from './provisioning/runs.ts';

const LOOK_LIMIT_MS = 10_000;

export function serveRequests(requests: RequestServer, parts: Parts, runs: Runs): void {
  const { backend, installation, ledger, log } = parts;

  const managed = async () => {
    const list = await backend.listManaged(AbortSignal.timeout(LOOK_LIMIT_MS));
    if (list.outcome === 'listed') return list.resources;
    // No answer rather than an empty one (I8); the asker hears that it failed, not why.
    throw list.cause;
  };

  requests.serve(ask.provisioner.backend, () => ({
    backend: backend.name,
    installation,
    ...(backend.onHostNetwork && { onHostNetwork: true }),
  }));

  requests.serve(ask.provisioner.listManaged, async () => ({ backend: backend.name, resources: [...(await managed())] }));

  requests.serve(ask.provisioner.isRunning, ({ workspaceId }) =>
    backend.isRunning(id12(workspaceId), AbortSignal.timeout(LOOK_LIMIT_MS)),
  );

  requests.serve(ask.provisioner.configuredRuntime, async ({ workspaceId }) => {
    const config = await backend.readConfig(id12(workspaceId), 'config.yaml', AbortSignal.timeout(LOOK_LIMIT_MS));
    return { runtime: config === undefined ? null : runtimeIn(config.toString()) };
  });

  requests.serve(ask.provisioner.stop, ({ workspaceId, removeVolume, commandId }) =>
    runs.stop(id12(workspaceId), workspaceId, { removeVolume, commandId }),
  );

  requests.serve(ask.provisioner.reap, async ({ prefix }) => {
    const ours = (await managed()).find(
      (resource) => resource.prefix === prefix && [null, installation].includes(resource.installation),
    );
    if (ours === undefined) return { outcome: 'not-found', volumeRemoved: false } as const;
    log.warn({ prefix, resource: ours }, 'a leftover is reaped');
    const workspaceId = await workspaceWithPrefix(ledger.db, prefix);
    const commandId = `reap-${prefix}-${ours.createdAt ?? ''}`;
    return await runs.stop(prefix, workspaceId, { removeVolume: true, commandId });
  });
}
