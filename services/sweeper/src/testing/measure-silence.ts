/** A program of the benchmarks: how long it takes to ask who is silent, by the size of the fleet, when nobody is. Tells milliseconds. */
import { LastHeard } from '../liveness/last-heard.ts';

const TIMES = 200;
const sizes = JSON.parse(process.env['SIZES'] ?? '[]') as number[];

function measure(size: number): number {
  const lastHeard = new LastHeard();
  lastHeard.seed(Array.from({ length: size }, (_, index) => [`workspace-${index}`, 1_000 + index] as const));
  const took: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    // What a pass meets: others have beaten since the last one.
    for (let beat = 0; beat < size / 100; beat++) lastHeard.heard(`workspace-${(time * 7 + beat) % size}`, 1_000_000 + time);
    const started = performance.now();
    if (lastHeard.takeSilent(1_000).length > 0) throw new Error('somebody is silent');
    took.push(performance.now() - started);
  }
  return took.sort((a, b) => a - b)[TIMES / 2] as number;
}

process.send?.(sizes.map(measure), () => process.exit(0));
