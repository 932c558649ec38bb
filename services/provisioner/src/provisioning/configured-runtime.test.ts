import { expect, it } from 'vitest';
import { runtimeIn } from './configured-runtime.ts';

it.each<[string, string | null]>([
  ['runtime: hermes', 'hermes'],
  ['name: x\r\nruntime: hermes\r\n', 'hermes'],
  ['runtime: "claude-code" # mine', 'claude-code'],
  ["  runtime:'echo'", 'echo'],
  ['runtime:\nruntime: echo', 'echo'],
  ['runtime: echo\nruntime: hermes', 'echo'],
  ['runtime_config:\n  x: 1', null],
  ['# runtime: echo', null],
  ['runtime: ../../etc', null],
  ['runtime: a b', null],
  [`runtime: ${'x'.repeat(65)}`, null],
  ['', null],
])('%j names %j', (config, runtime) => expect(runtimeIn(config)).toBe(runtime));
