/** What is said of a start that failed (spec 3 §1.11): one canned text each. What the engine said is for the log alone (I10). */

export interface Failure {
  readonly error: string;
  /** What `last_sample_error` becomes; `null` leaves it. */
  readonly sampleError: string | null;
  readonly missing?: string[];
}

const both = (error: string): Failure => ({ error, sampleError: error });

export const FAILURES = {
  start: both('workspace start failed'),
  noConfig: (workspaceId: string): Failure =>
    both(
      `cannot start workspace ${workspaceId}: no config.yaml source and config volume is empty — delete the workspace or provide a template`,
    ),
} as const;
