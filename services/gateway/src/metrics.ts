/**
 * What the edge counts (spec 1 §7): requests by method, route pattern and status, and open sockets.
 *
 * A request touches one object that was found by its route; labels are put together only when somebody reads the metrics.
 */
import type { DenialReason } from '@molecule/contracts';
import { type Basics, Counter, exposeCounter, exposeCounters, exposeGauge } from '@molecule/service';

interface Tally {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  count: number;
  seconds: number;
}

export class EdgeMetrics {
  /** By path, then by method and status. */
  readonly #tallies = new Map<string, Map<string, Tally>>();
  sockets: () => number = () => 0;
  eventStreams: () => number = () => 0;
  /** Clients that came back, by whether they were told all that they had missed. */
  replays: () => Readonly<Record<'replayed' | 'gap', number>> = () => ({ replayed: 0, gap: 0 });
  /** Events that were not written, by the wire of who should have had them. */
  readonly dropped = { websocket: 0, sse: 0 };
  liveHeld: () => number = () => 0;
  denials: () => ReadonlyMap<DenialReason, number> = () => new Map();

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

  registerIn(registry: Basics['metrics']): void {
    const registers = [registry];
    const labelNames = ['method', 'path', 'status'];
    const tallies = () => this.#each();
    new Counter({
      name: 'molecule_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { labels, count } of tallies()) this.inc(labels, count);
      },
    });
    new Counter({
      name: 'molecule_http_request_duration_seconds_total',
      help: 'Seconds spent on answering HTTP requests.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { labels, seconds } of tallies()) this.inc(labels, seconds);
      },
    });
    exposeGauge(registry, {
      name: 'molecule_websocket_connections_active',
      help: 'Open WebSocket connections.',
      read: () => this.sockets(),
    });
    exposeGauge(registry, {
      name: 'molecule_live_events_held',
      help: 'Live events that wait for the fact they follow.',
      read: () => this.liveHeld(),
    });
    exposeGauge(registry, {
      name: 'molecule_sse_connections_active',
      help: 'Open event streams.',
      read: () => this.eventStreams(),
    });
    const help = 'Events that were not sent to a client because it reads too slowly.';
    exposeCounter(registry, { name: 'molecule_websocket_dropped_total', help, read: () => this.dropped.websocket });
    exposeCounter(registry, { name: 'molecule_sse_dropped_total', help, read: () => this.dropped.sse });
    exposeCounters(registry, {
      name: 'molecule_replays_total',
      help: 'Clients that came back with the place they had got to, by whether they were told all that they had missed.',
      label: 'outcome',
      read: () => Object.entries(this.replays()),
    });
    exposeCounters(registry, {
      name: 'molecule_auth_denials_total',
      help: 'Requests that were not let in, by reason.',
      label: 'reason',
      read: () => this.denials(),
    });
  }

  #each(): { labels: Record<'method' | 'path' | 'status', string>; count: number; seconds: number }[] {
    return [...this.#tallies.values()]
      .flatMap((byKind) => [...byKind.values()])
      .filter(({ count }) => count > 0)
      .map(({ method, path, status, count, seconds }) => ({ labels: { method, path, status: String(status) }, count, seconds }));
  }
}
