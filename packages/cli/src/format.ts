/** How answers look: aligned columns, colours where somebody watches, times and ids short enough to read. */
import type { Terminal } from './terminal.ts';

const CODES = { red: 31, green: 32, yellow: 33, blue: 34, dim: 2, bold: 1 } as const;
export type Colour = keyof typeof CODES;

/** Paints text for this terminal; without colours it is the identity. */
export const painter =
  ({ colours }: Pick<Terminal, 'colours'>) =>
  (colour: Colour, text: string): string =>
    colours ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;

// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a colour looks like
const PAINT = /\u001b\[\d+m/g;
const widthOf = (text: string): number => text.replaceAll(PAINT, '').length;

/** Rows with their columns aligned; the last column is left as long as it is. Lines carry no blanks at their end. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(cell));
  }
  return rows.map((row) =>
    `${indent}${row.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - widthOf(cell))).join('  ')}`.trimEnd(),
  );
}

/** Text of others on one line of ours: control characters are shown, not obeyed. */
export const oneLine = (text: string, max = 200): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  const plain = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, escaped);
  return plain.length > max ? `${plain.slice(0, max - 1)}…` : plain;
};

/** The same on as many lines as it has. */
export const manyLines = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  text.replaceAll('\r\n', '\n').replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, escaped);

const escaped = (char: string): string => {
  const json = JSON.stringify(char).slice(1, -1);
  return json === char ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : json;
};

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** How long ago something was, roughly. */
export function ago(at: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(at)) / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
