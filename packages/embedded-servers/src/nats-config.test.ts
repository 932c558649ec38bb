/** The configuration fits the version that was found (limits §3, trap 11). */
import { describe, expect, it } from 'vitest';
import { isAtLeast, natsConfig } from './nats.ts';

const config = (version: string, password?: string) => natsConfig({ version, port: 4222, storeDir: '/a b/store', password });

describe('the configuration of nats-server', () => {
  it.each(['2.9.10', '2.9.25', '2.10.26'])('leaves out what %s does not know', (version) => {
    expect(config(version)).not.toContain('no_fast_producer_stall');
  });

  it.each(['2.10.27', '2.11.0', '2.15.1', '3.0.0', '2.12.0-RC.1'])(
    'keeps a stopped subscriber from slowing the others on %s',
    (version) => {
      expect(config(version)).toContain('no_fast_producer_stall: true');
    },
  );

  it('listens on the loopback interface only, and quotes paths', () => {
    expect(config('2.9.10')).toContain('listen: "127.0.0.1:4222"');
    expect(config('2.9.10')).toContain('store_dir: "/a b/store"');
  });

  it('asks for a password where there is one', () => {
    expect(config('2.9.10', 'pw')).toContain('password: "pw"');
    expect(config('2.9.10')).not.toContain('authorization');
  });
});

describe('comparing versions', () => {
  it.each([
    ['2.10.27', true],
    ['2.10.28', true],
    ['2.10.3', false],
    ['2.9.99', false],
    ['10.0.0', true],
    ['', false],
  ])('%s', (version, expected) => expect(isAtLeast(version, [2, 10, 27])).toBe(expected));
});
