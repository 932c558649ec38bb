/** Ratios from adjacent pairs: A B B A, so that a drift of the machine cancels out. Medians over the quartets, with their range. */

export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly quartets: number;
}

/** Measures `a` and `b` in quartets and answers b / a. */
export async function abba(
  quartets: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<Ratio & { readonly a: number; readonly b: number }> {
  const ratios: number[] = [];
  const all: { a: number[]; b: number[] } = { a: [], b: [] };
  for (let quartet = 0; quartet < quartets; quartet++) {
    const [a1, b1, b2, a2] = [await a(), await b(), await b(), await a()];
    ratios.push((b1 + b2) / (a1 + a2));
    all.a.push(a1, a2);
    all.b.push(b1, b2);
  }
  return { ...summary(ratios), a: median(all.a), b: median(all.b) };
}

export function summary(ratios: readonly number[]): Ratio {
  const sorted = [...ratios].sort((x, y) => x - y);
  return { median: median(sorted), low: sorted[0] as number, high: sorted.at(-1) as number, quartets: sorted.length };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
