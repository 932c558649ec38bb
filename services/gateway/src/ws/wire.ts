/** How an event and its `seq` are written to who listens: as a frame of a WebSocket (spec 1 §6.2), or as an event of a stream (§6.3). */
import { Buffer } from 'node:buffer';
import type { CanvasEvent } from '@molecule/contracts';
import { textFrame } from './frame.ts';

export interface Wire {
  readonly name: 'websocket' | 'sse';
  /** How many events a client may leave unread. */
  readonly maxFrames: number;
  encode(event: CanvasEvent, seq: string): Buffer;
}

export const WEBSOCKET: Wire = {
  name: 'websocket',
  maxFrames: 256,
  encode: ({ event, workspace_id, timestamp, payload }, seq) =>
    textFrame(JSON.stringify({ event, workspace_id, timestamp, payload, seq })),
};

export const EVENT_STREAM: Wire = {
  name: 'sse',
  maxFrames: 64,
  encode: ({ event, timestamp, payload }, seq) =>
    Buffer.from(`id: ${seq}\ndata: ${JSON.stringify({ type: event, timestamp: Date.parse(timestamp), data: payload })}\n\n`),
};
