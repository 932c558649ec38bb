import { describe, expect, it } from 'vitest';
import { parseServers } from './connection.ts';

describe('the addresses of servers', () => {
  it('may be several, with or without a scheme', () =>
    expect(parseServers('nats://a:4222, b:4223,').addresses).toEqual(['nats://a:4222', 'nats://b:4223']));

  it('are kept apart from the credentials in them', () =>
    expect(parseServers(['nats://mole:p%40ss@a:4222', 'nats://b:4222'])).toEqual({
      addresses: ['nats://a:4222', 'nats://b:4222'],
      user: 'mole',
      pass: 'p@ss',
    }));
});
