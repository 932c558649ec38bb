/** O1, O2. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OpenConnections, TOO_MANY } from './open-connections.ts';

it('refuses an address that has as many open as it may, and no other', () => {
  const connections = new OpenConnections(2);
  connections.opened('10.0.0.1');
  expect(connections.judge('10.0.0.1')).toBeNull();
  const close = connections.opened('10.0.0.1');
  expect(connections.judge('10.0.0.1')).toMatchObject({ kind: 'too-many', message: TOO_MANY });
  expect(connections.judge('10.0.0.2')).toBeNull();
  close();
  close();
  expect(connections.judge('10.0.0.1')).toBeNull();
  connections.opened('10.0.0.1');
  expect(connections.judge('10.0.0.1'), 'closed twice, given back once').not.toBeNull();
});

it('takes an IPv6 address for its network', () => {
  const connections = new OpenConnections(1);
  connections.opened('2001:db8::1');
  expect(connections.judge('2001:db8::ffff')).not.toBeNull();
  expect(connections.judge('2001:db8:0:1::1')).toBeNull();
});

it('O2: keeps nothing of who has none open', () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean())), (steps) => {
      const connections = new OpenConnections(100);
      const closers: (() => void)[] = [];
      for (const [peer, opens] of steps) {
        if (opens) closers.push(connections.opened(peer));
        else closers.shift()?.();
      }
      for (const close of closers) close();
      expect(connections.size).toBe(0);
    }),
  ));
