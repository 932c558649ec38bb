import { ServiceClient } from '@molecule/http';
import { testLog } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { LateClient } from './late-client.ts';

const open = (urls: ConstructorParameters<typeof LateClient>[0]) =>
  new LateClient(urls, { internalKey: 'k'.repeat(32), service: 'registry', log: testLog() });

describe('a client of a service that may come up later', () => {
  it('is made once, and again where the service could not be found at first', async () => {
    let asked = 0;
    const late = open(() => {
      asked++;
      if (asked === 1) throw new Error('not up yet');
      return ['http://127.0.0.1:9'];
    });
    await expect(late.get()).rejects.toThrow('not up yet');
    const client = await late.get();
    expect(client).toBeInstanceOf(ServiceClient);
    expect(await late.get()).toBe(client);
    expect(asked).toBe(2);
    await late.close();
  });

  it('is closed whether or not it was ever made', async () => {
    await expect(open(() => []).close()).resolves.toBeUndefined();
    const failing = open(() => Promise.reject(new Error('not up yet')));
    await expect(failing.get()).rejects.toThrow('not up yet');
    await expect(failing.close()).resolves.toBeUndefined();
  });
});
