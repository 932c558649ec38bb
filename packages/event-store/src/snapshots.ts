/**
 * Snapshots: where a fold had got to, so that a long stream need not be folded from its beginning.
 *
 *   N1. A snapshot is a shortcut and never the truth: one that is missing, damaged, or of another fold changes nothing but time.
 *   N2. Only a state that survives JSON unchanged is written, and only when every fact below it was understood.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Fact } from '@molecule/contracts';
import type { Folded } from './types.ts';

const fingerprints = new WeakMap<object, string>();

/** Names the fold that a snapshot belongs to: changes of `evolve`, of what it starts from and of the shapes it reads change it. */
export function foldOf<State, F extends Fact>(aggregate: Folded<State, F>): string {
  let fold = fingerprints.get(aggregate);
  if (fold === undefined) {
    const {
      fold: { evolve, initial },
      family,
      schemaVersion = {},
      upcasters = {},
      foldVersion = 0,
    } = aggregate;
    const parts = [
      evolve.toString(),
      JSON.stringify(initial) ?? '',
      JSON.stringify(Object.keys(family).toSorted()),
      JSON.stringify(Object.entries(schemaVersion).toSorted()),
      ...Object.entries(upcasters).map(([type, upcast]) => `${type}: ${upcast}`),
      `${foldVersion}`,
    ];
    fold = digest(parts.join('\n'));
    fingerprints.set(aggregate, fold);
  }
  return fold;
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

const checksumOf = (stream: string, version: number, fold: string, state: string): string =>
  digest(`${stream}\n${version}\n${fold}\n${state}`);

/** The row of a snapshot, or `undefined` when this state cannot be kept as JSON (N2). */
export function takeSnapshot(
  stream: string,
  version: number,
  fold: string,
  state: unknown,
): { readonly state: string; readonly checksum: string } | undefined {
  const text = JSON.stringify(state);
  if (text === undefined || !isDeepStrictEqual(JSON.parse(text), state)) return undefined;
  return { state: text, checksum: checksumOf(stream, version, fold, text) };
}

/** The state in a snapshot, or `undefined` when it is damaged (N1). */
export function openSnapshot(
  stream: string,
  fold: string,
  snapshot: { readonly version: number; readonly state: string; readonly checksum: string },
): { readonly state: unknown } | undefined {
  if (snapshot.checksum !== checksumOf(stream, snapshot.version, fold, snapshot.state)) return undefined;
  return { state: JSON.parse(snapshot.state) };
}
