import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NetGuard, type Resolve, type ResolvedAddress } from './guard.ts';
import { classify, RANGES } from './ranges.ts';

const addresses = (...list: string[]): ResolvedAddress[] =>
  list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
const names: Readonly<Record<string, string[]>> = {
  'good.example': ['93.184.216.34', '2606:2800::1'],
  'mixed.example': ['93.184.216.34', '10.0.0.1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'empty.example': [],
  localhost: ['127.0.0.1', '::1'],
  'localhost.': ['127.0.0.1'],
};
const resolve: Resolve = async (name) => {
  const found = names[name];
  if (!found) throw Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' });
  return addresses(...found);
};
const guard = (mode: 'strict' | 'saas' | 'dev') => new NetGuard({ mode, resolve });

describe('checking a URL', () => {
  it.each(['', 'nonsense', 'http://', 'http:///', '/path', 'http://[::1', 'http://a b/', 'http://exa%00mple/'])(
    'refuses %j',
    async (url) => {
      expect((await guard('dev').check(url, 'dispatch')).ok).toBe(false);
    },
  );

  it.each([
    'ftp://good.example/',
    'file:///etc/passwd',
    'gopher://good.example',
    'javascript:alert(1)',
    'unix:/var/run/docker.sock',
  ])('refuses the scheme of %s', async (url) => {
    expect((await guard('dev').check(url, 'dispatch')).ok).toBe(false);
  });

  // Every way to write 127.0.0.1 that a URL parser or a libc takes for one.
  it.each([
    'http://127.0.0.1',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0x7f000001/',
    'http://017700000001/',
    'http://0177.0.0.01/',
    'http://127.1/',
    'http://127.0.1/',
    'http://①②⑦.⓪.⓪.①/',
    'http://127.0.0.1./',
    'http://%31%32%37.0.0.1/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]:8000/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'https://user:password@127.0.0.1/x',
  ])('sees loopback in %s', async (url) => {
    for (const check of ['register', 'dispatch'] as const)
      expect(await guard('strict').check(url, check)).toEqual({ ok: false, reason: expect.stringContaining('loopback') });
    expect((await guard('dev').check(url, 'dispatch')).ok).toBe(true);
  });

  it('judges an IPv4 address alike however it is written, in both checks and every mode', async () => {
    const hex = (n: number) => `0x${n.toString(16)}`;
    const octal = (n: number) => `0${n.toString(8)}`;
    const v4Blocks = RANGES.flatMap(({ blocks }) => blocks).filter((block) => !block.includes(':'));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...v4Blocks), fc.nat(2 ** 32 - 1), async (block, noise) => {
        const [network = '', bits = '32'] = block.split('/');
        const host = (2 ** (32 - Number(bits)) - 1) & noise;
        const whole = (network.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) + (host >>> 0)) >>> 0;
        const [a, b, c, d] = [whole >>> 24, (whole >>> 16) & 255, (whole >>> 8) & 255, whole & 255];
        const written = [`${whole}`, hex(whole), octal(whole), `${a}.${whole & 0xffffff}`, `${hex(a)}.${b}.${(c << 8) | d}`];
        const mapped = `[::ffff:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}]`;
        for (const check of ['register', 'dispatch'] as const)
          for (const mode of ['strict', 'saas', 'dev'] as const) {
            const { allowed } = classify(`${a}.${b}.${c}.${d}`, check, mode);
            for (const form of [...written, mapped, `[::ffff:${a}.${b}.${c}.${d}]`])
              expect({ form, ok: (await guard(mode).check(`http://${form}:8000/`, check)).ok }).toEqual({ form, ok: allowed });
          }
      }),
      { numRuns: 60 },
    );
  });

  it('takes the URL as it was normalised, with the addresses that passed', async () => {
    const verdict = await guard('strict').check('HTTP://Good.Example:80/agent?x=1', 'dispatch');
    expect(verdict).toMatchObject({ ok: true, addresses: addresses('93.184.216.34', '2606:2800::1') });
    expect(verdict.ok && verdict.url.href).toBe('http://good.example/agent?x=1');
  });

  it('G1: refuses a name when one of its addresses is bad', async () => {
    expect(await guard('strict').check('http://mixed.example', 'dispatch')).toMatchObject({ ok: false });
    expect(await guard('saas').check('http://mixed.example', 'dispatch')).toMatchObject({ ok: true });
    expect(await guard('saas').check('http://mapped.example', 'dispatch')).toMatchObject({ ok: false });
  });

  it.each(['nowhere.example', 'empty.example'])('G1: refuses %s, which has no address', async (host) => {
    for (const mode of ['strict', 'saas', 'dev'] as const)
      expect(await guard(mode).check(`http://${host}`, 'dispatch')).toMatchObject({ ok: false });
    expect(await guard('strict').check(`http://${host}`, 'register')).toMatchObject({ ok: false });
    expect(await guard('saas').check(`http://${host}`, 'register')).toMatchObject({ ok: false });
    expect(await guard('dev').check(`http://${host}`, 'register')).toMatchObject({ ok: true });
  });

  it('bounds how long a name may take', async () => {
    const slow = new NetGuard({ mode: 'strict', resolve: () => new Promise(() => {}), resolveTimeoutMs: 5 });
    expect(await slow.check('http://slow.example', 'dispatch')).toMatchObject({ ok: false });
  });

  it('lets localhost by that exact name pass at register, in every mode, without looking it up', async () => {
    for (const mode of ['strict', 'saas', 'dev'] as const) {
      const unasked = new NetGuard({ mode, resolve: () => Promise.reject(new Error('asked')) });
      expect(await unasked.check('http://localhost:8001', 'register')).toMatchObject({ ok: true });
      expect(await unasked.check('http://LOCALHOST:8001', 'register')).toMatchObject({ ok: true });
    }
    expect(await guard('strict').check('http://localhost.:8001', 'register')).toMatchObject({ ok: false });
    expect(await guard('strict').check('http://localhost:8001', 'dispatch')).toMatchObject({ ok: false });
    expect(await guard('dev').check('http://localhost:8001', 'dispatch')).toMatchObject({ ok: true });
  });
});
