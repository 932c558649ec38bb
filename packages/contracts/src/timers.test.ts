import { describe, expect, it } from 'vitest';
import { provisionTimeoutSeconds, remoteStaleAfterSeconds } from './timers.ts';

describe('how long a start may take', () => {
  it.each([
    ['langgraph', undefined, 600],
    ['', undefined, 600],
    ['constructor', undefined, 600],
    ['hermes', undefined, 1800],
    ['hermes', '5', 5],
    ['langgraph', '0', 600],
    ['langgraph', '-1', 600],
    ['langgraph', '1.5', 600],
    ['langgraph', '60s', 600],
  ])('of %j with %j is %d seconds', (runtime, override, seconds) =>
    expect(provisionTimeoutSeconds(runtime, override)).toBe(seconds),
  );
});

describe('how long a remote agent may be silent', () => {
  it.each([
    [undefined, 90],
    ['', 90],
    ['0', 90],
    ['1.5', 90],
    ['30', 30],
  ])('with %j is %d seconds', (setting, seconds) => expect(remoteStaleAfterSeconds(setting)).toBe(seconds));
});
