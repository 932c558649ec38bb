import { platformUnavailable, Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { AskNoResponder, AskRefused, AskTimeout, isBusUnavailable, isPassing } from './errors.ts';

const withCode = (code: string, message = 'failed') => Object.assign(new Error(message), { code });

describe('an error that passes by itself', () => {
  it.each(['ECONNREFUSED', 'ECONNRESET', '57P01', '57P03', '53300', '08006', '40001', '40P01', 'UND_ERR_SOCKET'])(
    'is %s',
    (code) => expect(isPassing(withCode(code))).toBe(true),
  );

  it('may be the cause of another, or all that went wrong', () => {
    expect(isPassing(new Error('could not store', { cause: withCode('ECONNRESET') }))).toBe(true);
    expect(isPassing(new AggregateError([withCode('ECONNREFUSED'), withCode('ECONNREFUSED')]))).toBe(true);
    expect(isPassing(new AggregateError([withCode('ECONNREFUSED'), new TypeError('a defect')]))).toBe(false);
  });

  it('is a service or a platform that is away', () => {
    expect(isPassing(new AskNoResponder('ask.a.b'))).toBe(true);
    expect(isPassing(new AskTimeout('ask.a.b', 1))).toBe(true);
    expect(isPassing(platformUnavailable())).toBe(true);
    expect(isPassing(new Error('Connection terminated unexpectedly'))).toBe(true);
  });

  it('is never a defect, a refusal, or a broken rule of the database', () => {
    expect(isPassing(new TypeError('x is not a function'))).toBe(false);
    expect(isPassing(new Refusal('conflict', 'already so'))).toBe(false);
    expect(isPassing(withCode('23505', 'duplicate key'))).toBe(false);
    expect(isPassing(new AskRefused('does not fit'))).toBe(false);
    expect(isPassing('a text')).toBe(false);
  });

  it('is found in a circle of causes without going round for ever', () => {
    const circle = new Error('round');
    circle.cause = circle;
    expect(isPassing(circle)).toBe(false);
  });
});

it('tells a bus that is away from one that refuses', () => {
  expect(isBusUnavailable(new AskTimeout('ask.a.b', 1))).toBe(true);
  expect(isBusUnavailable(new AskRefused('no'))).toBe(false);
});
