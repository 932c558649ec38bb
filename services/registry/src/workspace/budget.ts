/** The operator's ceiling for what a workspace spends (spec 1 §1.10). Pure. */
import { Refusal } from '@molecule/contracts';
import { type BodyProblem, problem } from '@molecule/http';
import { z } from 'zod';
import type { Decision } from './decisions.ts';

const NO_NUMBER = 'budget_limit must be an integer (USD cents) or null';

export const BudgetBody = z.object({
  budget_limit: z
    .number({ error: ({ input }) => (input === undefined ? 'budget_limit field is required' : NO_NUMBER) })
    .min(0, 'budget_limit must be >= 0 (USD cents)')
    .max(Number.MAX_SAFE_INTEGER, NO_NUMBER)
    .nullable()
    .transform((cents) => (cents === null ? null : Math.trunc(cents))),
});

/** The 400 of the wire: of the key, where there is an object to have one. */
export function invalidBudget(wrong: BodyProblem): Refusal {
  const [issue] = wrong.kind === 'mismatch' ? wrong.error.issues : [];
  return issue === undefined || issue.path.length === 0 ? problem.invalidRequestBody() : new Refusal('invalid', issue.message);
}

/** A removed workspace has no budget any more. */
export const limitBudget =
  (budgetLimit: number | null): Decision =>
  (state) => {
    if (state.situation !== 'present') throw problem.workspaceNotFound();
    return state.budgetLimit === budgetLimit ? [] : [{ type: 'workspace.budgeted', data: { budgetLimit } }];
  };
