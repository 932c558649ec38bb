/** What an event of GitHub is to us (spec 2 §7.14): schedules that are due, a message for an agent, or nothing. Pure and total. */
import { parseJson } from '@molecule/http';
import { z } from 'zod';

export type Effect =
  | { readonly kind: 'trigger'; readonly event: string; readonly action: string; readonly nameContains: readonly string[] }
  | {
      readonly kind: 'message';
      /** Whom the payload names; `''`: nobody. */
      readonly workspaceId: string;
      readonly text: string;
      readonly metadata: Readonly<Record<string, string | number>>;
    }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'invalid'; readonly error: string };

/** What is absent counts as empty; what is of another kind makes the payload invalid. */
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const number = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);
const part = <Shape extends z.ZodRawShape>(shape: Shape) => z.preprocess((value) => value ?? {}, z.object(shape));

const Acted = z.object({ action: text });
const Common = Acted.extend({
  workspace_id: text,
  repository: part({ full_name: text }),
  sender: part({ login: text }),
});
type Common = z.infer<typeof Common>;

const Comment = part({ body: text, html_url: text });
const IssueComment = Common.extend({ issue: part({ number }), comment: Comment });
const ReviewComment = Common.extend({ pull_request: part({ number }), comment: Comment });
const WorkflowRun = Common.extend({
  workflow_run: part({
    id: number,
    name: text,
    run_number: number,
    conclusion: text,
    head_branch: text,
    head_sha: text,
    html_url: text,
    event: text,
  }),
});

export const UNSUPPORTED = 'unsupported event type';
const FINE: ReadonlySet<string> = new Set(['success', 'skipped', 'neutral']);

interface Delivered {
  readonly event: string;
  readonly deliveryId: string;
  readonly body: Uint8Array;
}

export function effectOf({ event, deliveryId, body }: Delivered): Effect {
  /** What every message says of where it comes from. */
  const origin = ({ action, repository, sender }: Common) => ({
    source: 'github',
    event,
    action,
    delivery_id: deliveryId,
    repository: repository.full_name,
    sender: sender.login,
  });
  const read = <Schema extends z.ZodType>(schema: Schema, act: (payload: z.output<Schema>) => Effect): Effect => {
    const parsed = schema.safeParse(parseJson(body));
    return parsed.success ? act(parsed.data) : { kind: 'invalid', error: `invalid ${event} payload` };
  };
  const commented = (payload: Common & { comment: z.output<typeof Comment> }, on: number, named: string): Effect => {
    if (payload.action !== 'created') return { kind: 'ignored', reason: UNSUPPORTED };
    const { repository, sender, comment } = payload;
    return {
      kind: 'message',
      workspaceId: payload.workspace_id,
      text: `GitHub ${event} ${payload.action} on ${repository.full_name}#${on} by ${sender.login}\n${comment.body.trim()}`,
      metadata: { ...origin(payload), [named]: on, comment_url: comment.html_url },
    };
  };

  switch (event) {
    case 'issues':
      return read(Acted, ({ action }) =>
        action === 'opened'
          ? { kind: 'trigger', event, action, nameContains: ['pick-up-work'] }
          : { kind: 'ignored', reason: 'only issues action=opened triggers crons' },
      );
    case 'pull_request_review':
      return read(Acted, ({ action }) =>
        action === 'submitted'
          ? { kind: 'trigger', event, action, nameContains: ['pr review', 'security review'] }
          : { kind: 'ignored', reason: 'only pull_request_review action=submitted triggers crons' },
      );
    case 'issue_comment':
      return read(IssueComment, (payload) => commented(payload, payload.issue.number, 'issue_number'));
    case 'pull_request_review_comment':
      return read(ReviewComment, (payload) => commented(payload, payload.pull_request.number, 'pull_request_num'));
    case 'workflow_run':
      return read(WorkflowRun, (payload) => {
        const { workflow_run: run, repository, sender } = payload;
        if (payload.action !== 'completed' || FINE.has(run.conclusion)) return { kind: 'ignored', reason: UNSUPPORTED };
        return {
          kind: 'message',
          workspaceId: payload.workspace_id,
          text: [
            `CI: ${run.name} run #${run.run_number} ended with ${run.conclusion}`,
            `on ${run.head_branch}@${run.head_sha.slice(0, 7)} of ${repository.full_name}, by ${sender.login} (${run.event})`,
            run.html_url,
          ].join('\n'),
          metadata: {
            ...origin(payload),
            workflow_name: run.name,
            run_id: run.id,
            run_number: run.run_number,
            conclusion: run.conclusion,
            head_branch: run.head_branch,
            head_sha: run.head_sha,
            run_url: run.html_url,
            trigger_event: run.event,
          },
        };
      });
    default:
      return { kind: 'ignored', reason: UNSUPPORTED };
  }
}
