/** Follows the log in the order of its commits (E3). */
import type { RecordedFact } from '@molecule/contracts';
import type { Logger } from 'pino';
import type { Run } from './append.ts';
import { UnreadableFact } from './errors.ts';
import { type KnownAggregates, recorded } from './gate.ts';
import { FOLLOW, type FollowRow } from './statements.ts';
import type { LogCursor, LogPage } from './types.ts';

export interface Follow {
  readonly after?: LogCursor;
  readonly limit: number;
}

export const BEGINNING: LogCursor = '0.0';

/** `<transaction>.<position>` */
export const cursorOf = ({ transaction_id, position }: Pick<FollowRow, 'transaction_id' | 'position'>): LogCursor =>
  `${transaction_id}.${position}`;

export function placeOf(cursor: LogCursor): [transactionId: string, position: string] {
  const [transactionId, position, ...rest] = cursor.split('.');
  if (transactionId === undefined || position === undefined || rest.length > 0 || !/^\d+\.\d+$/.test(cursor))
    throw new TypeError(`not a place in the log: ${JSON.stringify(cursor)}`);
  return [transactionId, position];
}

/**
 * The next facts after a place. What may still be overtaken by an older open transaction is left for later: `hidden` says so.
 * A fact that cannot be read is handed on as it stands, and logged: whoever needs its data will refuse it by name.
 */
export async function followLog<Tables>(
  run: Run,
  known: KnownAggregates<Tables>,
  log: Logger,
  { after = BEGINNING, limit }: Follow,
): Promise<LogPage> {
  const { rows } = await run<FollowRow & Record<string, unknown>>(FOLLOW, [...placeOf(after), limit]);
  const unsettled = rows.findIndex(({ settled }) => !settled);
  const settled = unsettled === -1 ? rows : rows.slice(0, unsettled);
  const last = settled.at(-1);
  return {
    facts: settled.map((row) => readable(known, row, log)),
    cursor: last ? cursorOf(last) : after,
    hidden: unsettled !== -1,
  };
}

function readable<Tables>(known: KnownAggregates<Tables>, row: FollowRow, log: Logger): RecordedFact {
  try {
    return known.read(row);
  } catch (error) {
    if (!(error instanceof UnreadableFact)) throw error;
    log.error({ err: error, factId: row.id, stream: row.stream }, 'a fact of the log cannot be read');
    return recorded(row);
  }
}
