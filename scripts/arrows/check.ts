/** Compares the arrows with the rules, and looks for circles. */
import { type Arrow, arrowsOf, type Packages, type Source } from './graph.ts';
import { RULES } from './rules.ts';

/** One sentence for each arrow that points where it may not, and for each circle; none when all is well. */
export function check(sources: readonly Source[], packages: Packages): string[] {
  const arrows = sources.flatMap((source) => arrowsOf(source, packages));
  const broken = arrows.flatMap((arrow) =>
    RULES.filter((rule) => rule.breaks(arrow)).map(
      ({ name, why }) => `${arrow.from}:${arrow.line} imports ${arrow.to}\n    ${name}: ${why}`,
    ),
  );
  const circles = findCircles(arrows).map(
    (circle) =>
      `${circle.join('\n  → ')}\n  → ${circle[0]}\n    no-circles: What needs each other belongs into one file, or one of them into a third.`,
  );
  return [...broken, ...circles];
}

/** One circle for each group of files that reach each other, as short as it gets. */
export function findCircles(arrows: readonly Arrow[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of arrows) targets.set(from, [...(targets.get(from) ?? []), to]);

  const reported = new Set<string>();
  const circles: string[][] = [];
  for (const start of [...targets.keys()].sort()) {
    if (reported.has(start)) continue;
    const circle = shortestWayBack(start, targets);
    if (!circle) continue;
    for (const file of circle) reported.add(file);
    circles.push(circle);
  }
  return circles;
}

function shortestWayBack(start: string, targets: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const next of targets.get(file) ?? []) {
      if (next === start) {
        const way = [file];
        for (let before = file; before !== start; ) {
          before = cameFrom.get(before) ?? start;
          way.unshift(before);
        }
        return way;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, file);
      queue.push(next);
    }
  }
  return undefined;
}
