/** What is counted, as Prometheus reads it: of one service, or of several that run in one process. */
import type { Registry } from 'prom-client';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Every family once, with the samples of all who have it: a reader refuses a family that is told twice. Who is who is said by the
 * label `service`, which each registry gives to what it counts.
 */
export async function exposition(registries: readonly Registry[]): Promise<string> {
  const families = new Map<string, string[]>();
  for (const registry of registries) {
    const names = registry.getMetricsAsArray().map(({ name }) => name);
    const texts = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)));
    for (const [index, name] of names.entries()) {
      const [help = '', type = '', ...samples] = (texts[index] ?? '').split('\n');
      const lines = families.get(name);
      if (lines === undefined) families.set(name, [help, type, ...samples]);
      else lines.push(...samples);
    }
  }
  return [...families.values()].map((lines) => `${lines.filter((line) => line !== '').join('\n')}\n`).join('\n');
}
