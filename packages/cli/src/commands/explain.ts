/** `molecule explain <workspace>`: why it is as it is, who has to act next, by when, and what may be done. */
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { type Colour, oneLine, painter, table } from '../format.ts';
import { CliError, type Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

/** What of `GET /workspaces/:id/explain` is shown. */
export const Explanation = z.looseObject({
  id: z.string(),
  status: z.string(),
  since: z.string(),
  because: z.looseObject({
    fact_type: z.string(),
    reason: z.string(),
    error: z.string().optional(),
    evidence: z.looseObject({ fact_type: z.string(), recorded_at: z.string() }).optional(),
  }),
  next: z.object({ who: z.string(), what: z.string() }),
  deadlines: z.array(z.object({ at: z.string(), consequence: z.string() })),
  legal_actions: z.array(z.object({ action: z.string(), method: z.string(), path: z.string(), effect: z.string() })),
  vitals: z.looseObject({ last_beat_at: z.string(), active_tasks: z.number(), current_task: z.string() }).nullable(),
  paused_ancestor: z.string().nullable(),
});
export type Explanation = z.infer<typeof Explanation>;

export const explain: Command = {
  name: 'explain',
  summary: 'why a workspace is as it is, who acts next, by when, and what may be done',
  argument: 'workspace',
  options: { ...urlOption, ...jsonOption },
  async run(terminal, values) {
    const id = textOf(values, 'workspace') ?? '';
    if (!z.guid().safeParse(id).success) throw new CliError(`${JSON.stringify(id)} is not the id of a workspace`, 2);
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const explanation = await api.get(`/workspaces/${id.toLowerCase()}/explain`, Explanation);
    if (values['json'] === true) terminal.out(JSON.stringify(explanation));
    else for (const line of explanationLines(explanation, terminal)) terminal.out(line);
    return 0;
  },
};

const COLOURS: Readonly<Record<string, Colour>> = {
  online: 'green',
  provisioning: 'blue',
  awaiting_agent: 'blue',
  degraded: 'yellow',
  offline: 'red',
  failed: 'red',
};

export function explanationLines(given: Explanation, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const { id, status, since, because, next, deadlines, vitals, paused_ancestor: ancestor } = given;
  const { reason, error, evidence } = because;
  const rows = [
    ['because', `${reason} (${because.fact_type})${error === undefined ? '' : `: ${oneLine(error)}`}`],
    ...(evidence === undefined ? [] : [['evidence', `${evidence.fact_type} at ${evidence.recorded_at}`]]),
    ['next', `${next.who}: ${oneLine(next.what)}`],
    ...deadlines.map(({ at, consequence }) => ['deadline', `${at}: ${consequence}`]),
    ['last beat', vitals === null ? 'none' : `${vitals.last_beat_at}${busy(vitals)}`],
    ...(ancestor === null ? [] : [['paused above', oneLine(ancestor)]]),
  ];
  const actions = given.legal_actions.map(({ action, method, path, effect }) => [
    action,
    `${method} ${path}`,
    paint('dim', effect),
  ]);
  return [
    `${id}  ${paint(COLOURS[status] ?? 'dim', status)} since ${since}`,
    ...table(rows.map(([name = '', value = '']) => [paint('dim', name), value])),
    '',
    'What may be done',
    ...table(actions),
  ];
}

const busy = ({ active_tasks: tasks, current_task: task }: NonNullable<Explanation['vitals']>): string =>
  tasks === 0 ? '' : `, ${tasks} active${task === '' ? '' : `: ${oneLine(task, 80)}`}`;
