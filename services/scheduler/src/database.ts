/** The scheduler's tables, as `migrations/scheduler/` makes them. */
import type { Generated } from 'kysely';

export interface Tables {
  schedule_list: {
    schedule_id: string;
    workspace_id: string;
    name: string;
    cron_expr: string;
    timezone: string;
    enabled: boolean;
    source: 'runtime' | 'template';
    next_run_at: Date;
    last_run_at: Date | null;
    run_count: number;
    last_status: string;
    last_error: string;
    empty_runs: number;
    /** The worker that holds the occurrence in progress, and which instant that is. */
    worker: string | null;
    due_at: Date | null;
    message_id: string | null;
    created_at: Date;
    updated_at: Date;
  };
  schedule_prompts: { schedule_id: string; prompt: string; written_at: Generated<Date> };
  workers: { worker: string; alive_until: Date };
}
