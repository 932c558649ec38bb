import { describe, expect, it } from 'vitest';
import { classify, type GuardMode, RANGES, type RangeName } from './ranges.ts';

/**
 * The table of spec 1 §3.8, written down a second time by hand: first and last address of each block, then the columns
 * R strict, R SaaS, D strict, D SaaS, D dev. (`register` in dev is choice 4 of the spec's README, below.)
 */
const TABLE: readonly (readonly [RangeName, readonly string[], string])[] = [
  ['loopback', ['127.0.0.0', '127.0.0.1', '127.255.255.255', '::1'], '----+'],
  ['link-local', ['169.254.0.0', '169.254.169.254', '169.254.255.255', 'fe80::', 'fe80::1', 'febf:ffff::1'], '-----'],
  ['private', ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'], '-+-++'],
  ['unique-local', ['fd00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], '-+-++'],
  ['unique-local-reserved', ['fc00::', 'fcff:ffff::1'], '-----'],
  ['carrier-grade-nat', ['100.64.0.0', '100.127.255.255'], '-----'],
  ['documentation', ['192.0.2.0', '192.0.2.255', '198.51.100.7', '203.0.113.255'], '-----'],
  ['multicast-local', ['224.0.0.0', '224.0.0.255'], '-----'],
  ['multicast', ['224.0.1.0', '239.255.255.255'], '--+++'],
  ['documentation-v6', ['2001:db8::', '2001:db8:ffff::1'], '--+++'],
  ['unspecified', ['0.0.0.0', '::'], '++---'],
  ['multicast-local-v6', ['ff01::1', 'ff02::1', 'ff02:ffff::1'], '++---'],
  [
    'public',
    [
      ...['1.1.1.1', '8.8.8.8', '0.0.0.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255'],
      ...['128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.255', '192.0.3.0'],
      ...['192.167.255.255', '192.169.0.0', '198.51.99.255', '198.51.101.0', '203.0.112.255', '203.0.114.0', '223.255.255.255'],
      ...['240.0.0.1', '2606:4700::1111', '2001:db7::1', '2001:db9::1', 'fbff::1', 'fe7f::1', 'fec0::1', 'ff00::1', 'ff05::1'],
    ],
    '+++++',
  ],
];

const COLUMNS: readonly (readonly ['register' | 'dispatch', GuardMode])[] = [
  ['register', 'strict'],
  ['register', 'saas'],
  ['dispatch', 'strict'],
  ['dispatch', 'saas'],
  ['dispatch', 'dev'],
];

describe('the table of ranges', () => {
  for (const [range, addresses, verdicts] of TABLE) {
    COLUMNS.forEach(([check, mode], column) => {
      const allowed = verdicts[column] === '+';
      it(`${allowed ? 'lets' : 'keeps'} ${range} ${allowed ? 'pass' : 'out'} at ${check} in ${mode} mode`, () => {
        for (const address of addresses)
          expect({ address, ...classify(address, check, mode) }).toEqual({ address, allowed, range });
      });
    });
  }

  it('is tested row by row', () => {
    expect(TABLE.map(([range]) => range).filter((range) => range !== 'public')).toEqual(RANGES.map(({ name }) => name));
  });

  it('relaxes register in dev mode for private ranges only', () => {
    const passing = TABLE.filter(([, [address = '']]) => classify(address, 'register', 'dev').allowed).map(([range]) => range);
    expect(passing).toEqual(['private', 'unique-local', 'unspecified', 'multicast-local-v6', 'public']);
  });
});

describe('N2: an IPv6 address around an IPv4 one', () => {
  it.each([
    ['mapped', '::ffff:127.0.0.1'],
    ['mapped, in hex', '::ffff:7f00:1'],
    ['compatible', '::127.0.0.1'],
    ['6to4', '2002:7f00:1::'],
    ['NAT64', '64:ff9b::7f00:1'],
  ])('is judged as the IPv4 address when it is %s', (_, address) => {
    expect(classify(address, 'dispatch', 'strict')).toEqual({ allowed: false, range: 'loopback' });
    expect(classify(address, 'dispatch', 'dev')).toEqual({ allowed: true, range: 'loopback' });
  });

  it('hides no metadata service, and no public address', () => {
    expect(classify('::ffff:169.254.169.254', 'dispatch', 'dev').allowed).toBe(false);
    expect(classify('::ffff:8.8.8.8', 'dispatch', 'strict')).toEqual({ allowed: true, range: 'public' });
    expect(classify('64:ff9b::808:808', 'dispatch', 'strict')).toEqual({ allowed: true, range: 'public' });
  });
});

describe('what is no address', () => {
  it.each(['', 'localhost', '1.2.3.4.5', 'fe80', '999.1.1.1', '::ffff:1.2.3.999'])('is refused: %j', (text) => {
    for (const mode of ['strict', 'saas', 'dev'] as const)
      expect(classify(text, 'dispatch', mode)).toEqual({ allowed: false, range: 'not-an-address' });
  });

  it('does not include a zone', () => {
    expect(classify('fe80::1%eth0', 'dispatch', 'dev')).toEqual({ allowed: false, range: 'link-local' });
  });
});
