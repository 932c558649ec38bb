/** How far a directory may be behind, for `/metrics` (I12). */
import { type Basics, Gauge } from '@molecule/service';

/** `read`: see `Directory.lagSeconds`. */
export function exposeDirectoryLag(metrics: Basics['metrics'], read: () => number): void {
  new Gauge({
    name: 'molecule_projection_lag_seconds',
    help: 'How old what a projection in memory shows may be at most, in seconds: all facts up to then are in it.',
    labelNames: ['projection'],
    registers: [metrics],
    collect() {
      this.set({ projection: 'directory' }, read());
    },
  });
}
