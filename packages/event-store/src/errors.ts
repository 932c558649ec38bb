/** What may go wrong with the database, sorted by what a caller can do about it. */

/** Somebody else's facts came first, and did so again each time we decided anew. */
export class VersionConflict extends Error {
  readonly stream: string;

  constructor(stream: string) {
    super(`somebody else appended to ${stream} first`);
    this.stream = stream;
  }

  override get name(): string {
    return 'VersionConflict';
  }
}

/** A stream was loaded in a transaction that had already written: its facts could end up before the ones it decided on (E7). */
export class LateLoad extends Error {
  constructor(stream: string) {
    super(`${stream} was loaded after the transaction's first write; load every stream first`);
  }

  override get name(): string {
    return 'LateLoad';
  }
}

/** The connection was lost during a commit that stored no facts: nobody can tell whether it happened, so it is not done again. */
export class CommitUnknown extends Error {
  constructor(cause: unknown) {
    super('the connection was lost during a commit', { cause });
  }

  override get name(): string {
    return 'CommitUnknown';
  }
}

/** A fact in the log that today's schema does not take, and no upcaster mends. */
export class UnreadableFact extends Error {
  constructor(stream: string, version: number, type: string, cause: unknown) {
    super(`${type}, version ${version} of ${stream}, is not what its schema says`, { cause });
  }

  override get name(): string {
    return 'UnreadableFact';
  }
}

/** A failed connection never ran what it was given, or we cannot know whether it did. */
const CONNECTION_LOST = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  '57P01', // terminated by an administrator
  '57P02', // crash of another backend
  '57P03', // starting up, or shutting down
  '57P05', // idle session timeout
  '25P03', // idle in transaction timeout
  '25006', // read only: a standby that is about to take over
]);
const CONNECTION_LOST_CLASS = /^08/;
const CONNECTION_LOST_TEXT =
  /^Connection terminated|^Client has encountered a connection error|^Client was closed|^Connection ended/;

/** Out of something, or too slow: no use in trying again at once. */
const EXHAUSTED = /^53/;
const TOO_SLOW = new Set(['57014', '55P03']);
const TOO_SLOW_TEXT =
  /^Query read timeout|timeout exceeded when trying to connect|Cannot use a pool after calling end|^Connection terminated due to connection timeout/;

/** Nothing was stored, and the same again may well work. 0A000: a table changed under a prepared statement. */
const CONTENDED = new Set(['40001', '40P01']);
const STALE_PLAN = '0A000';

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return '';
  // Several addresses were tried, and none answered.
  if (error instanceof AggregateError) return error.errors.map(codeOf).find((code) => code !== '') ?? '';
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
};
const textOf = (error: unknown): string => (error instanceof Error ? error.message : '');

/** The connection is gone or was never there. */
export const isConnectionLost = (error: unknown): boolean => {
  const code = codeOf(error);
  return (
    CONNECTION_LOST.has(code) ||
    CONNECTION_LOST_CLASS.test(code) ||
    CONNECTION_LOST_TEXT.test(textOf(error)) ||
    isMissingSocket(error)
  );
};

/** The socket file of a server that is not there; other missing files are none of our business. */
const isMissingSocket = (error: unknown): boolean =>
  codeOf(error) === 'ENOENT' && error instanceof Error && 'syscall' in error && error.syscall === 'connect';

/** A connection that failed like this must not be used again. */
export const isBroken = (error: unknown): boolean =>
  isConnectionLost(error) || TOO_SLOW_TEXT.test(textOf(error)) || isStalePlan(error);

export const isContended = (error: unknown): boolean => CONTENDED.has(codeOf(error)) || isStalePlan(error);

export const isStalePlan = (error: unknown): boolean =>
  codeOf(error) === STALE_PLAN && /cached plan must not change result type/.test(textOf(error));

/** A row was there already; `constraint` names the index that says so. */
export const violatedConstraint = (error: unknown): string | undefined =>
  codeOf(error) === '23505' && error instanceof Error && 'constraint' in error ? String(error.constraint) : undefined;

/**
 * The database cannot be reached, is starting or stopping, out of connections, memory or disk, or does not answer in time; or a
 * stream is so contended that four attempts were not enough. What a caller is told as 503 `platform_unavailable`.
 */
export const isUnavailable = (error: unknown): boolean =>
  isConnectionLost(error) ||
  isContended(error) ||
  EXHAUSTED.test(codeOf(error)) ||
  TOO_SLOW.has(codeOf(error)) ||
  TOO_SLOW_TEXT.test(textOf(error)) ||
  error instanceof VersionConflict ||
  error instanceof CommitUnknown;
