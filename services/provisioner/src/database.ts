/** The provisioner's tables, as `migrations/provisioner/` makes them. */
export interface Tables {
  containers: {
    workspace_id: string;
    run: number;
    state: 'starting' | 'running' | 'exited' | 'stopped' | 'failed';
    backend: string;
    url: string;
    since: Date;
  };
  blueprints: {
    workspace_id: string;
    version: number;
    name: string;
    role: string | null;
    tier: number;
    runtime: string;
    template: string;
    model: string;
    workspace_dir: string | null;
    workspace_access: string;
    awareness_namespace: string;
    of_team: boolean;
  };
}
