/**
 * The headers of a caller that reach the agent: those that A2A itself speaks in, and no others (spec 2 §1.7). Pure and total.
 *
 *   H1. A value that is too long, or holds anything but visible ASCII and spaces, is left out: what goes to an agent can always be sent.
 *   H2. They stay with a message that has to wait, and go with it when it is sent.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** Names and values in turn, as undici takes them. */
export type PassedHeaders = readonly string[];

/** By name, how long a value may be: which version of A2A is spoken, and the extensions that are asked for (older name, and newer). */
const PASSED: readonly (readonly [name: string, maxLength: number])[] = [
  ['a2a-version', 64],
  ['a2a-extensions', 4_096],
  ['x-a2a-extensions', 4_096],
];
const SENDABLE = /^[\x20-\x7e]+$/;

const NONE: PassedHeaders = [];

/** Node has joined what was sent several times. */
export function passedHeaders(headers: IncomingHttpHeaders): PassedHeaders {
  let passed: string[] | undefined;
  for (const [name, maxLength] of PASSED) {
    const value = headers[name];
    if (typeof value !== 'string' || value.length > maxLength || !SENDABLE.test(value)) continue; // H1
    passed ??= [];
    passed.push(name, value);
  }
  return passed ?? NONE;
}
