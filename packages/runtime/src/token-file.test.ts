import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TokenFile } from './token-file.ts';

describe('the token file (spec 4 §2)', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'token-'));
    path = join(directory, '.auth_token');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('says that there is none yet, when it is missing or empty (T3)', () => {
    expect(new TokenFile(directory).read()).toBeUndefined();
    writeFileSync(path, ' \n');
    expect(new TokenFile(directory).read()).toBeUndefined();
  });
  it('is read without the blanks around it, and remembered (T2)', () => {
    writeFileSync(path, ' abc\n');
    const token = new TokenFile(directory);
    expect(token.read()).toBe('abc');
    writeFileSync(path, 'def');
    expect(token.read()).toBe('abc');
    expect(token.reread()).toBe('def');
  });
  it('is written for its user alone, without a newline, and nothing beside it (T1)', () => {
    new TokenFile(directory).save('abc\n');
    expect(readFileSync(path, 'utf8')).toBe('abc');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['.auth_token']);
  });
  it('is left alone by an identical token', () => {
    writeFileSync(path, 'abc');
    utimesSync(path, 1, 1);
    new TokenFile(directory).save('abc');
    expect(statSync(path).mtimeMs).toBe(1000);
  });
  it('takes no empty token', () => expect(() => new TokenFile(directory).save(' ')).toThrow(TypeError));
});
