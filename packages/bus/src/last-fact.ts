/** The last fact of one type about one workspace, as the stream FACTS keeps it: for those who want to see what another service said. */
import { type AnyRecordedFact, type FactType, STREAMS, subjects } from '@molecule/contracts';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { Bus } from './connection.ts';
import { decodeFact } from './envelope.ts';

/** `null`: none was said, or it is kept no longer. Rejects when the bus does not answer. */
export async function lastFact(bus: Bus, type: FactType, workspaceId: string): Promise<AnyRecordedFact | null> {
  try {
    const message = await bus.jsm.streams.getMessage(STREAMS.facts, { last_by_subj: subjects.fact(type, workspaceId) });
    if (!message) return null;
    const decoded = decodeFact(new TextDecoder().decode(message.data));
    return decoded.kind === 'fact' ? decoded.fact : null;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return null;
    throw error;
  }
}
