/** What the edge's listeners are told of when one directory follows another. */
import type { FactPlace } from '@molecule/bus';
import type { Directory } from '@molecule/directory';
import { expect, it } from 'vitest';
import { EdgeDirectory } from './edge-directory.ts';

/** A directory at this place that lets itself be listened to. */
function aDirectory(place: FactPlace) {
  const gaps: (() => void)[] = [];
  const directory = {
    place,
    onFact: () => {},
    onGap: (listener: () => void) => void gaps.push(listener),
    onReread: () => {},
    onAccessEnded: () => {},
  } as unknown as Directory;
  return { directory, missFacts: () => gaps.forEach((tell) => void tell()) };
}

it('what happened between two directories was missed; before the first, nobody had heard anything yet', () => {
  const edge = new EdgeDirectory();
  const heard: string[] = [];
  edge.onGap(() => void heard.push(`gap at ${edge.place?.sequence}`));
  edge.onReread(() => void heard.push(`read at ${edge.place?.sequence}`));
  const first = aDirectory({ epoch: '2026-11-22T12:00:00Z', sequence: 3 });
  edge.attach(first.directory);
  first.missFacts();
  edge.detach();
  expect(edge.place).toBeUndefined();
  edge.attach(aDirectory({ epoch: '2026-11-22T12:00:00Z', sequence: 9 }).directory);
  expect(heard).toEqual(['read at 3', 'gap at 3', 'gap at 9', 'read at 9']);
});
