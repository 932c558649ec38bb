/**
 * The figures of the process under the names that the wire contract gives them (spec 1 §7). They are those of another runtime's;
 * each HELP line says what stands for it here.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { type Basics, exposeCounter, exposeGauge } from '@molecule/service';

/** Returns the way to stop watching. */
export function registerRuntime(metrics: Basics['metrics']): () => void {
  const gauge = (name: string, help: string, read: () => number) => exposeGauge(metrics, { name, help, read });
  gauge(
    'go_goroutines',
    'Things the event loop waits for (sockets, timers, requests): the nearest there is to goroutines in Node.',
    () => process.getActiveResourcesInfo().length,
  );
  gauge(
    'go_memstats_alloc_bytes',
    'Bytes of live and not yet collected objects: the used part of V8’s heap and what hangs on it.',
    () => {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    },
  );
  gauge('go_memstats_sys_bytes', 'Bytes taken from the system: resident memory of the process.', () => process.memoryUsage.rss());
  gauge('go_memstats_heap_inuse_bytes', 'Bytes of V8’s heap that are in use.', () => process.memoryUsage().heapUsed);

  let seconds = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seconds += duration / 1000;
  });
  observer.observe({ entryTypes: ['gc'] });
  exposeCounter(metrics, {
    name: 'go_gc_duration_seconds_total',
    help: 'Seconds that V8 has spent on collecting garbage since the gateway started.',
    read: () => seconds,
  });
  return () => observer.disconnect();
}
