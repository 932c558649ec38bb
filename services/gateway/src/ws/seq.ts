/**
 * `seq`: where an event stands, as clients are told and may come back with. Opaque to them; `<stream>-<sequence>`, where `stream`
 * names the making of the stream FACTS, so that a stream made anew is never mistaken for the one before. It is the same on every
 * gateway for the same persisted event.
 */
import type { FactPlace } from '@molecule/bus';

/** A place as a client knows it. */
export interface KnownPlace {
  readonly stream: string;
  readonly sequence: number;
}

/** What names a stream, from when it was made. */
export const streamMark = (epoch: string): string => Date.parse(epoch).toString(36);

export const seqOf = ({ epoch, sequence }: FactPlace): string => `${streamMark(epoch)}-${sequence}`;

const SEQ = /^([0-9a-z]{1,12})-(0|[1-9][0-9]{0,15})$/;

/** `undefined` for what is no `seq` of ours. */
export function parseSeq(text: string): KnownPlace | undefined {
  const [, stream, digits] = SEQ.exec(text) ?? [];
  const sequence = Number(digits);
  return stream === undefined || !Number.isSafeInteger(sequence) ? undefined : { stream, sequence };
}

/** What a client says in its query that it has got to; `null`: it wants nothing again. */
export function sinceOf(url = ''): string | null {
  const query = url.indexOf('?');
  return query === -1 ? null : new URLSearchParams(url.slice(query)).get('since');
}

/** Whether `place` is behind `other`: in a stream that was made later, or further on in the same. */
export const isLater = (place: FactPlace, other: FactPlace): boolean =>
  place.epoch === other.epoch ? place.sequence > other.sequence : Date.parse(place.epoch) > Date.parse(other.epoch);
