/** What a connection to the bus counts, for `/metrics`. */
import { type Basics, exposeCounter } from '@molecule/service';
import type { Bus, BusCounts } from './connection.ts';

const HELP = {
  reconnects: 'How often the link to NATS came back.',
  factRetries: 'Publishes of facts that had to be repeated.',
  factsParked: 'Facts set aside because they could not be handled.',
  factGaps: 'How often facts were found missing in the stream.',
  beatsMalformed: 'Beats that could not be read.',
  beatGaps: 'Jumps noticed in the numbers of a gateway.',
  beatReplays: 'How often the last beats were read again.',
  beatWaitsLate: 'Waits for a beat that ended without it.',
  liveDropped: 'Live events that could not be told.',
  requestsShed: 'Requests refused because too many were being answered.',
} as const satisfies Record<keyof BusCounts, string>;

/** `molecule_bus_…_total`, one for each of `bus.counts`. */
export function exposeBusCounts(bus: Bus, metrics: Basics['metrics']): void {
  for (const [key, help] of Object.entries(HELP) as [keyof BusCounts, string][]) {
    const name = `molecule_bus_${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`;
    exposeCounter(metrics, { name, help, read: () => bus.counts[key] });
  }
}
