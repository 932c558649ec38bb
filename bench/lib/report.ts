/** How figures are judged and printed: against the pass and stretch columns of the targets they are measured for. */

export interface Figure {
  /** The row of the target list, such as `P1`. */
  readonly id: string;
  readonly what: string;
  /** What is judged: a ratio to the ceiling of the same run, or an absolute value with its unit. */
  readonly value: number;
  readonly unit: '×' | 'ms' | 'MB' | 'KB';
  readonly range?: readonly [low: number, high: number];
  readonly pass: number;
  readonly stretch: number;
  readonly better: 'higher' | 'lower';
  /** The absolute numbers behind it. */
  readonly behind: string;
}

export type Judgement = 'stretch' | 'pass' | 'below';

export function judgement({ value, pass, stretch, better }: Figure): Judgement {
  const reaches = (target: number) => (better === 'higher' ? value >= target : value <= target);
  return reaches(stretch) ? 'stretch' : reaches(pass) ? 'pass' : 'below';
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { id, what, value, unit, range, pass, stretch, better, behind } = figure;
    const sign = better === 'higher' ? '≥' : '≤';
    const spread = range === undefined ? '' : ` [${range.map(short).join('–')}]`;
    return `| ${id} | ${what} | **${short(value)} ${unit}**${spread} | ${sign} ${pass} | ${sign} ${stretch} | ${judgement(figure)} | ${behind} |`;
  });
  return ['| # | figure | measured | pass | stretch | reached | behind it |', '|---|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

export const short = (value: number): string =>
  Math.abs(value) >= 100 ? String(Math.round(value)) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
