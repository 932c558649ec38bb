import { inspect } from 'node:util';
import { Refusal } from '@molecule/contracts';
import { Vault } from '@molecule/vault';
import { expect, it } from 'vitest';
import { sealSecrets } from './secrets.ts';

const vault = new Vault(Buffer.alloc(32, 1));

it('are sealed one by one, under their names', () => {
  const sealed = sealSecrets(vault, { A: '1', B: '' });
  expect(sealed.map(({ key, ...secret }) => [key, secret.version, vault.open(secret)])).toEqual([
    ['A', 1, '1'],
    ['B', 1, ''],
  ]);
});

it('K1: are refused by the name of the first that cannot be sealed, and by nothing else', () => {
  const broken: Pick<Vault, 'seal'> = {
    seal: (text) => {
      if (text === 'canary') throw new Error(`no cipher for ${text}`);
      return vault.seal(text);
    },
  };
  const attempt = () => sealSecrets(broken, { A: '1', B: 'canary', C: 'canary' });
  expect(attempt).toThrow(new Refusal('failed', 'failed to encrypt secret: B'));
  try {
    attempt();
  } catch (error) {
    expect(inspect(error, { depth: 5 })).not.toContain('canary');
  }
});
