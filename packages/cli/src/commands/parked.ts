/** `molecule parked [--redrive <seq>]`: facts that a service could not digest, and giving one to it again. */
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { oneLine, painter, table } from '../format.ts';
import { CliError, type Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

export const ParkedList = z.object({
  parked: z.array(
    z.object({
      seq: z.number(),
      /** The service that could not. */
      consumer: z.string(),
      type: z.string(),
      error: z.string(),
      origin: z.object({ stream: z.string(), sequence: z.number(), subject: z.string() }),
      at: z.string(),
    }),
  ),
});
export type ParkedList = z.infer<typeof ParkedList>;

export const parked: Command = {
  name: 'parked',
  summary: 'facts that a service could not digest and set aside; with --redrive give it one again',
  options: {
    redrive: { type: 'string', value: 'seq', help: 'give this one once more to the service that had set it aside' },
    ...urlOption,
    ...jsonOption,
  },
  async run(terminal, values) {
    const seq = textOf(values, 'redrive');
    if (seq !== undefined && !/^[1-9]\d*$/.test(seq)) throw new CliError(`--redrive takes a number of the list, not ${seq}`, 2);
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    if (seq !== undefined) {
      const result = await api.post(`/admin/parked/redrive?seq=${seq}`, z.object({ redriven: z.number() }));
      terminal.out(values['json'] === true ? JSON.stringify(result) : `Given again: ${result.redriven}.`);
      return 0;
    }
    const list = await api.get('/admin/parked', ParkedList);
    if (values['json'] === true) terminal.out(JSON.stringify(list));
    else for (const line of parkedLines(list, terminal)) terminal.out(line);
    return list.parked.length > 0 ? 1 : 0;
  },
};

export function parkedLines({ parked }: ParkedList, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  if (parked.length === 0) return [paint('green', 'Nothing is set aside.')];
  const title = ['SEQ', 'AT', 'SERVICE', 'TYPE', 'ORIGIN', 'ERROR'].map((name) => paint('dim', name));
  const rows = parked.map(({ seq, at, consumer, type, origin: { stream, sequence }, error }) => [
    String(seq),
    at,
    consumer,
    type,
    stream === '' ? '-' : `${stream} ${sequence}`,
    paint('red', oneLine(error)),
  ]);
  return [
    ...table([title, ...rows]),
    '',
    '`molecule parked --redrive <seq>` gives one again to the service that had set it aside.',
  ];
}
