/**
 * Cron expressions as spec 2 §6.2 writes them. The grammar is ours, because a wider one would accept what other runtimes of
 * this contract refuse; the calendar and the time zones are croner's.
 */
import { Cron } from 'croner';

export class InvalidCron extends Error {}
export class InvalidTimezone extends Error {}

export interface CronSchedule {
  /** The next occurrence strictly after `after`, at second 0. */
  readonly next: (after: Date) => Date;
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const FIELDS = [
  { name: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', min: 0, max: 23, names: [] },
  { name: 'day of month', min: 1, max: 31, names: [] },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 6, names: DAYS },
] as const satisfies readonly Field[];

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Case-insensitive names of the values, the first one standing for `min`. */
  readonly names: readonly string[];
}

/** An expression without an occurrence in this time never fires, and is refused like an invalid one. */
const HORIZON_YEARS = 5;

/**
 * Reads an expression of five fields, with an optional leading `TZ=<zone>` or `CRON_TZ=<zone>` that overrides `timezone`.
 * Throws `InvalidTimezone` or `InvalidCron`; the latter also for what has no occurrence within five years of `now`.
 */
export function parseCron(expression: string, timezone: string, now: Date): CronSchedule {
  const [, zoneInExpression, fieldsText = ''] = /^(?:(?:CRON_TZ|TZ)=(\S+)\s+)?(.*)$/s.exec(expression.trim()) ?? [];
  const zone = checkedZone(zoneInExpression ?? timezone);
  const texts = fieldsText.split(/\s+/);
  if (texts.length !== FIELDS.length) throw new InvalidCron(`expected ${FIELDS.length} fields, found ${texts.length}`);

  // Handed on as plain lists of numbers: what we accept and what croner accepts cannot differ.
  const lists = FIELDS.map((field, index) => listOf(field, texts[index] as string)).join(' ');
  const cron = new Cron(lists, { timezone: zone });
  const next = (after: Date): Date => {
    const occurrence = cron.nextRun(after);
    const horizon = new Date(after);
    horizon.setUTCFullYear(horizon.getUTCFullYear() + HORIZON_YEARS);
    if (occurrence === null || occurrence > horizon) throw new InvalidCron(`no occurrence within ${HORIZON_YEARS} years`);
    return occurrence;
  };
  next(now);
  return { next };
}

function checkedZone(zone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    throw new InvalidTimezone(zone);
  }
}

/** `*` where every value matches, so that it does not count as a restriction; else the values, each by its number. */
function listOf(field: Field, text: string): string {
  const values = new Set(text.split(',').flatMap((part) => valuesOf(field, part)));
  return values.size === field.max - field.min + 1 ? '*' : [...values].sort((a, b) => a - b).join(',');
}

const PART = /^(?:(?<any>[*?])|(?<from>\w+)(?:-(?<to>\w+))?)(?:\/(?<step>\d+))?$/;

function valuesOf(field: Field, part: string): number[] {
  const { any, from, to, step } = PART.exec(part)?.groups ?? {};
  if (any === undefined && from === undefined) throw new InvalidCron(`${field.name}: cannot read ${JSON.stringify(part)}`);
  const first = from === undefined ? field.min : numberOf(field, from);
  const openEnded = from === undefined || (to === undefined && step !== undefined);
  const last = openEnded ? field.max : numberOf(field, to ?? (from as string));
  const by = step === undefined ? 1 : Number(step);
  if (by < 1 || last < first) throw new InvalidCron(`${field.name}: ${JSON.stringify(part)} matches nothing`);
  const values = [];
  for (let value = first; value <= last; value += by) values.push(value);
  return values;
}

function numberOf(field: Field, text: string): number {
  const named = field.names.indexOf(text.toUpperCase());
  const value = named >= 0 ? field.min + named : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= field.min && value <= field.max)) throw new InvalidCron(`${field.name}: ${JSON.stringify(text)} is not a value`);
  return value;
}
