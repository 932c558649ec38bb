/**
 * What the registry asks of whatever runs workspaces. It may be away or slow: each question is bound in time, and none of its failures
 * is a reason to refuse what it was asked for.
 */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, type WorkspaceId } from '@molecule/contracts';
import type { Log } from '@molecule/service';

interface BackendParts {
  readonly bus: Bus;
  readonly log: Log;
}

/** How long the provisioner may take to say that it has no backend. */
const BACKEND_TIMEOUT_MS = 500;
const CONFIGURED_TIMEOUT_MS = 2_000;
/** As long as the provisioner itself gives a stop: one that is still asked for after we went on would end what is started next. */
export const STOP_TIMEOUT_MS = 30_000;

/** Whether anything could start a container. Silence is not a no: the provisioner catches up from its own consumer. */
export async function hasBackend({ bus, log }: BackendParts): Promise<boolean> {
  try {
    return (await ask(bus, asks.provisioner.backend, {}, { timeoutMs: BACKEND_TIMEOUT_MS })).backend !== 'none';
  } catch (error) {
    log.info({ err: error }, 'the provisioner did not say what it starts containers with');
    return true;
  }
}

/** The runtime that the running workload's own configuration names, or `null` (§1.8). */
export async function configuredRuntime({ bus, log }: BackendParts, workspaceId: WorkspaceId): Promise<string | null> {
  try {
    const question = { workspaceId };
    return (await ask(bus, asks.provisioner.configuredRuntime, question, { timeoutMs: CONFIGURED_TIMEOUT_MS })).runtime;
  } catch (error) {
    log.info({ err: error, workspaceId }, 'the configuration of a running workspace could not be read');
    return null;
  }
}

/** Ends what runs for a workspace; its volumes stay. That it could not be stopped is logged, and made good by the provisioner (§1.8). */
export async function stopRuntime(
  { bus, log }: BackendParts,
  workspaceId: WorkspaceId,
  { commandId, timeoutMs = STOP_TIMEOUT_MS }: { readonly commandId: string; readonly timeoutMs?: number },
): Promise<void> {
  try {
    const { outcome } = await ask(bus, asks.provisioner.stop, { workspaceId, removeVolume: false, commandId }, { timeoutMs });
    if (outcome === 'failed') log.warn({ workspaceId }, 'a workspace could not be stopped');
  } catch (error) {
    log.warn({ err: error, workspaceId }, 'the provisioner did not say whether it stopped a workspace');
  }
}
