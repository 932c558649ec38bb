/** Figures that are known or counted anyway, read when somebody looks: what is measured pays an addition at most. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface Figure<Value> {
  readonly name: string;
  /** The HELP line. */
  readonly help: string;
  readonly read: () => Value;
}

/** What goes up and down. */
export function exposeGauge(metrics: Registry, { name, help, read }: Figure<number | Promise<number>>): void {
  new Gauge({
    name,
    help,
    registers: [metrics],
    async collect() {
      this.set(await read());
    },
  });
}

/** What only goes up. */
export function exposeCounter(metrics: Registry, { name, help, read }: Figure<number>): void {
  new Counter({
    name,
    help,
    registers: [metrics],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

/** Several that only go up, told apart by one label. */
export function exposeCounters(
  metrics: Registry,
  { name, help, label, read }: Figure<Iterable<readonly [value: string, count: number]>> & { readonly label: string },
): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [value, count] of read()) this.inc({ [label]: value }, count);
    },
  });
}
