/**
 * What the edge counts (spec 1 §7): requests by method, route pattern and status, and open sockets.
 *
 * A request touches one object that was found by its route; labels are put together only when somebody reads the metrics.
 */
import type { Basics } from '@molecule/service';

type Registry = Basics['metrics'];

interface Tally {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  count: number;
  seconds: number;
}

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

export class EdgeMetrics {
  /** By path, then by method and status. */
  readonly #tallies = new Map<string, Map<string, Tally>>();
  sockets: () => number = () => 0;
  websocketDropped = 0;
  liveHeld: () => number = () => 0;

  /** Counts a request that was answered. `path` is the route's pattern, or `unmatched`. */
  answered(method: string, path: string, status: number, seconds: number): void {
    let byKind = this.#tallies.get(path);
    if (byKind === undefined) {
      byKind = new Map();
      this.#tallies.set(path, byKind);
    }
    const kind = `${method} ${status}`;
    let tally = byKind.get(kind);
    if (tally === undefined) {
      tally = { method, path, status, count: 0, seconds: 0 };
      byKind.set(kind, tally);
    }
    tally.count++;
    tally.seconds += seconds;
  }

  /** One tally to be counted on without a look-up: for the route that is asked for most. */
  tally(method: string, path: string, status: number): { count(seconds: number): void } {
    this.answered(method, path, status, 0);
    const tally = this.#tallies.get(path)?.get(`${method} ${status}`) as Tally;
    tally.count--;
    return {
      count(seconds) {
        tally.count++;
        tally.seconds += seconds;
      },
    };
  }

  registerIn(registry: Registry): void {
    register(registry, 'counter', 'molecule_http_requests_total', 'HTTP requests answered.', () => this.#each('count'));
    register(registry, 'counter', 'molecule_http_request_duration_seconds_total', 'Seconds spent on HTTP requests.', () =>
      this.#each('seconds'),
    );
    const one = (value: number): Value[] => [{ value, labels: {} }];
    register(registry, 'gauge', 'molecule_websocket_connections_active', 'Open WebSocket connections.', () =>
      one(this.sockets()),
    );
    register(
      registry,
      'counter',
      'molecule_websocket_dropped_total',
      'Events that were not sent to a client because it reads too slowly.',
      () => one(this.websocketDropped),
    );
    register(registry, 'gauge', 'molecule_live_events_held', 'Live events that wait for the fact they follow.', () =>
      one(this.liveHeld()),
    );
  }

  #each(figure: 'count' | 'seconds'): Value[] {
    const tallies = [...this.#tallies.values()].flatMap((byKind) => [...byKind.values()]);
    return tallies
      .filter(({ count }) => count > 0)
      .map((tally) => ({
        value: tally[figure],
        labels: { method: tally.method, path: tally.path, status: String(tally.status) },
      }));
  }
}

/** A metric whose values are gathered when they are read. */
function register(registry: Registry, type: 'counter' | 'gauge', name: string, help: string, values: () => Value[]): void {
  const metric = { name, help, get: async () => ({ name, help, type, aggregator: 'sum', values: values() }) };
  registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
}
