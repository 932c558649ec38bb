/** The reference at the edge: there in every mode, whatever services are up. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { call, it, PRODUCTION } from '../testing/world.ts';

const GENERATED = join(import.meta.dirname, '../../../../docs/reference');

describe('the reference', () => {
  it.for([{}, { MOLECULE_ENV: 'development' }, PRODUCTION])('is open in the mode of %j', async (env, { world }) => {
    const gateway = await world.gateway(env);
    for (const name of ['openapi.json', 'asyncapi.json']) {
      const { status, headers, text } = await call(gateway, `/${name}`);
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('application/json; charset=utf-8');
      expect(text).toBe(JSON.stringify(JSON.parse(readFileSync(join(GENERATED, name), 'utf8'))));
    }
    const page = await call(gateway, '/docs');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toContain("script-src 'self' 'unsafe-inline'");
    expect(page.text).toContain('<title>Molecule: reference</title>');
  });

  it('asks nothing of anybody else, and shows nothing as markup', async ({ world }) => {
    const { text } = await call(await world.gateway(), '/docs');
    expect(text.match(/https?:\/\/|@import|\bsrc=|url\(|innerHTML|insertAdjacentHTML/g)).toBeNull();
    const [, script = ''] = /<script>([\s\S]*)<\/script>/.exec(text) ?? [];
    expect(script.length).toBeGreaterThan(1_000);
    // It is a program: what does not parse would be a page that says "Reading …" for ever.
    expect(() => new Function(script)).not.toThrow();
  });

  it('is not there where nothing was generated, and keeps nothing else from being there', async ({ world }) => {
    const { dir, remove } = temporaryDir();
    onTestFinished(remove);
    const gateway = await world.gateway({ REFERENCE_DIR: dir });
    expect(await call(gateway, '/openapi.json')).toMatchObject({
      status: 404,
      text: '{"error":"the reference was not generated"}',
    });
    expect((await call(gateway, '/health')).status).toBe(200);
  });
});
