/** Agents that the process backend started, as the machine shows them. */
import { readdirSync, readFileSync } from 'node:fs';

/** The processes of a workspace's agent, found as an operator would: by what it was started for. */
export function agentProcesses(workspaceId: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`WORKSPACE_ID=${workspaceId}`);
      } catch {
        return false; // it ended while we looked
      }
    })
    .map(Number);
}

/** The one process of a workspace's agent. Throws when there is none: a signal to nobody in particular would end the tests themselves. */
export function agentProcess(workspaceId: string): number {
  const [pid] = agentProcesses(workspaceId);
  if (pid === undefined) throw new Error(`no process runs for workspace ${workspaceId}`);
  return pid;
}
