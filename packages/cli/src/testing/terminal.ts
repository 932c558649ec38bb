/** A terminal that remembers what was written on it. */
import type { Terminal } from '../terminal.ts';

export interface Recorded extends Terminal {
  readonly lines: string[];
  readonly notes: string[];
  /** Ctrl-C. */
  interrupt(): void;
}

export function recorded(env: Terminal['env'] = {}): Recorded {
  const lines: string[] = [];
  const notes: string[] = [];
  const interrupted = new AbortController();
  return {
    lines,
    notes,
    out: (line) => void lines.push(line),
    note: (line) => void notes.push(line),
    colours: false,
    // Not the data directory of whoever runs the tests.
    env: { MOLECULE_HOME: '/nowhere', ...env },
    signal: interrupted.signal,
    interrupt: () => interrupted.abort(),
  };
}
