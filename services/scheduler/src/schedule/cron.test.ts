import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidCron, InvalidTimezone, parseCron } from './cron.ts';

const start = new Date('2026-03-01T00:00:30Z');
const next = (expression: string, timezone = 'UTC', after = start) =>
  parseCron(expression, timezone, after).next(after).toISOString();

describe('the next occurrence', () => {
  it.each([
    ['* * * * *', 'UTC', '2026-03-01T00:01:00.000Z'],
    ['*/15 * * * *', 'UTC', '2026-03-01T00:15:00.000Z'],
    ['5/20 * * * *', 'UTC', '2026-03-01T00:05:00.000Z'],
    ['0 9 * * MON-FRI', 'UTC', '2026-03-02T09:00:00.000Z'],
    ['0 9 * * mon', 'Europe/Berlin', '2026-03-02T08:00:00.000Z'],
    ['30 8 1 JAN ?', 'UTC', '2027-01-01T08:30:00.000Z'],
    ['0 0 29 2 *', 'UTC', '2028-02-29T00:00:00.000Z'],
    ['TZ=Asia/Tokyo 0 0 * * *', 'UTC', '2026-03-01T15:00:00.000Z'],
    ['CRON_TZ=America/New_York 0 0 * * *', 'Asia/Tokyo', '2026-03-01T05:00:00.000Z'],
    ['0,30 1-3/2 * * *', 'UTC', '2026-03-01T01:00:00.000Z'],
  ])('of %j in %s is %s', (expression, timezone, expected) => expect(next(expression, timezone)).toBe(expected));

  it('takes either day when both are restricted', () => {
    expect(next('0 0 15 * MON')).toBe('2026-03-02T00:00:00.000Z');
    expect(next('0 0 15 * *')).toBe('2026-03-15T00:00:00.000Z');
  });

  it('is strictly later, at second 0, for any expression and instant', () => {
    const minute = fc.integer({ min: 0, max: 59 });
    const hour = fc.integer({ min: 0, max: 23 });
    const instant = fc.date({ min: new Date('2020-01-01'), max: new Date('2035-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(
        minute,
        hour,
        instant,
        fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'),
        (m, h, after, zone) => {
          const occurrence = parseCron(`${m} ${h} * * *`, zone, after).next(after);
          expect(occurrence.getTime()).toBeGreaterThan(after.getTime());
          expect(occurrence.getTime() % 60_000).toBe(0);
        },
      ),
    );
  });
});

describe('an expression is refused', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '@hourly',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 7',
    '* * * * SUNDAY',
    '5-1 * * * *',
    '*/0 * * * *',
    'a * * * *',
    '1,,2 * * * *',
    '-1 * * * *',
    '1.5 * * * *',
    '* * L * *',
    '* * * * MON#1',
  ])('as %j', (expression) => {
    expect(() => parseCron(expression, 'UTC', start)).toThrow(InvalidCron);
  });

  it('when it has no occurrence in five years', () => expect(() => parseCron('0 0 30 2 *', 'UTC', start)).toThrow(InvalidCron));

  it.each(['Mars/Olympus', '', 'UTC+25'])('with the zone %j', (zone) =>
    expect(() => parseCron('* * * * *', zone, start)).toThrow(InvalidTimezone),
  );

  it('or accepted, but never with another error, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseCron(text, 'UTC', start);
        } catch (error) {
          expect(error instanceof InvalidCron || error instanceof InvalidTimezone).toBe(true);
        }
      }),
    );
  });
});
