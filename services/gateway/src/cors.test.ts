/** The rules of spec 1 §4.13 and the origin check of §6.2; what goes over the wire is in edge.int.test.ts. */
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { Cors } from './cors.ts';

const from = (origin?: string, host = 'molecule.example') => ({ headers: { origin, host } }) as unknown as IncomingMessage;

describe('a page of another origin', () => {
  it.each([
    [undefined, undefined, null],
    [undefined, 'http://molecule.example', null],
    [undefined, 'https://molecule.example', null],
    [undefined, 'http://localhost:3000', 'http://localhost:3000'],
    [undefined, 'http://localhost:3001', 'http://localhost:3001'],
    [undefined, 'http://localhost:3002', false],
    [undefined, 'https://molecule.example.evil.com', false],
    [undefined, 'null', false],
    [' https://A.example , https://b.example', 'https://a.example', 'https://a.example'],
    ['https://a.example', 'https://A.example', false],
    ['https://a.example', 'http://localhost:3000', false],
  ])('CORS_ORIGINS %j: %j → %j', (origins, origin, verdict) => expect(new Cors(origins).judge(from(origin))).toBe(verdict));
});

describe('a socket', () => {
  it.each([
    [undefined, true],
    ['http://molecule.example', true],
    ['HTTPS://A.Example', true],
    ['https://evil.example', false],
  ])('from %j: %j', (origin, allowed) => expect(new Cors('https://a.example').allowsSocket(from(origin))).toBe(allowed));
});
