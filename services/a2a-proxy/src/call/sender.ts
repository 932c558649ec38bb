/** Sends one message to one agent and says what came of it, as far as that is the same for direct calls and for the mailbox. */
import type { DirectoryEntry } from '@molecule/contracts';
import { UnresolvedName, UnsafeDestination } from '@molecule/net-guard';
import type { Parts } from '../parts.ts';
import { Dispatch, type EventSink, type Exchange, type SendLease } from './dispatch.ts';
import type { Endpoint } from './endpoints.ts';
import type { PassedHeaders } from './passed-headers.ts';

export type Sent =
  | Extract<Exchange, { kind: 'reply' | 'broken' | 'stopped' }>
  /** Nothing was sent: the address is not one we dial. */
  | { readonly kind: 'unsafe' }
  /** The backend says that nothing runs there. */
  | { readonly kind: 'dead'; readonly detail: string; readonly afterMs: number }
  | { readonly kind: 'busy'; readonly detail: string; readonly afterMs: number; readonly native: boolean }
  | { readonly kind: 'unreachable'; readonly detail: string; readonly afterMs: number };

export interface Message {
  readonly entry: DirectoryEntry;
  readonly endpoint: Endpoint;
  readonly body: string | Buffer;
  /** What the caller says to the agent in headers. */
  readonly headers?: PassedHeaders | undefined;
  /** Where a stream of events goes, if the agent answers with one. */
  readonly events?: EventSink | undefined;
  /** In all, in ms; may be `Infinity`. */
  readonly limitMs: number;
  /** Somebody waits for the answer; else it comes from the mailbox. */
  readonly direct: boolean;
  /** Under which it is taken out of the mailbox: `stopped` when it ends. */
  readonly lease?: SendLease;
}

export type SenderParts = Pick<Parts, 'targets' | 'capabilities' | 'isAlive' | 'clock' | 'idleTimeoutMs' | 'replyMemory'>;

export const isUnsafe = (error: unknown): boolean => error instanceof UnsafeDestination && !(error instanceof UnresolvedName);

export async function send(
  parts: SenderParts,
  { entry, endpoint, body, headers, events, limitMs, direct, lease }: Message,
): Promise<Sent> {
  const { targets, capabilities, clock } = parts;
  const { workspaceId } = entry;
  const idleMs = capabilities.idleTimeoutMs(workspaceId) ?? parts.idleTimeoutMs;
  const dispatch = new Dispatch(clock, { idleMs, limitMs, lease, memory: parts.replyMemory }, isUnsafe);
  const target = targets.enter(workspaceId, dispatch, dispatch.startedMs, direct);
  endpoint.inFlight++;
  let exchange: Exchange;
  try {
    exchange = await dispatch.run(endpoint.pool, { path: endpoint.path, body, headers, events }, target);
  } finally {
    endpoint.inFlight--;
    endpoint.usedMs = clock.monotonicMs();
    targets.leave(target, dispatch, direct);
  }
  if (exchange.kind !== 'failed') return exchange;

  const { failure, afterMs } = exchange;
  if (failure.kind === 'unsafe') return { kind: 'unsafe' };
  const { detail } = failure;
  if (!entry.external && entry.runtime !== 'external' && !(await parts.isAlive(workspaceId)))
    return { kind: 'dead', detail, afterMs };
  if (failure.kind === 'busy') return { kind: 'busy', detail, afterMs, native: capabilities.has(workspaceId, 'session') };
  return { kind: 'unreachable', detail, afterMs };
}
