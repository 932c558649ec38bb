/** What becomes 503, and what does not. */
import { describe, expect, it } from 'vitest';
import { isConnectionLost, isContended, isUnavailable, VersionConflict } from './errors.ts';

const failed = (code: string, message = '', more = {}) => Object.assign(new Error(message), { code, ...more });

describe('unavailable', () => {
  const unavailable = {
    'nobody listens': failed('ECONNREFUSED'),
    'nobody listens on either address': new AggregateError([failed('ECONNREFUSED'), failed('ECONNREFUSED')]),
    'the socket file is not there': failed('ENOENT', '', { syscall: 'connect' }),
    'the peer is gone': failed('ECONNRESET'),
    'ended by an administrator': failed('57P01'),
    'another backend crashed': failed('57P02'),
    'starting up': failed('57P03'),
    'too many connections': failed('53300'),
    'disk full': failed('53100'),
    'too slow, says the server': failed('57014'),
    'too slow, say we': new Error('Query read timeout'),
    'no connection is free': new Error('timeout exceeded when trying to connect'),
    'ended in the middle': new Error('Connection terminated unexpectedly'),
    closing: new Error('Cannot use a pool after calling end on the pool'),
    'too contended': new VersionConflict('a'),
    deadlock: failed('40P01'),
  };
  for (const [what, error] of Object.entries(unavailable)) it(what, () => expect(isUnavailable(error)).toBe(true));

  const defects = {
    'a file is missing': failed('ENOENT', '', { syscall: 'open' }),
    'a constraint objects': failed('23505'),
    'a mistake in a query': failed('42P01'),
    'another feature that is not there': failed('0A000', 'cannot do that'),
    'anything else': new TypeError('x is not a function'),
    'what is no error': 'ECONNREFUSED',
  };
  for (const [what, error] of Object.entries(defects)) it(`not: ${what}`, () => expect(isUnavailable(error)).toBe(false));
});

it('tells what to try again from what to wait for', () => {
  expect(isContended(failed('40001'))).toBe(true);
  expect(isContended(failed('0A000', 'cached plan must not change result type'))).toBe(true);
  expect(isConnectionLost(failed('08006'))).toBe(true);
  expect(isConnectionLost(failed('57014'))).toBe(false);
});
