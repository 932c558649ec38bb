/** The figures of the proxy, read when somebody asks: counting costs the hot path an addition. */
import { type Basics, exposeCounter, exposeCounters, exposeGauge } from '@molecule/service';
import type { DirectCalls } from './call/direct.ts';
import type { ReplyMemory } from './call/reply-body.ts';
import type { Streams } from './call/stream.ts';
import type { Targets } from './call/targets.ts';
import type { Drains } from './mailbox/drain.ts';
import type { Mailbox } from './mailbox/enqueue.ts';
import type { Followers } from './mailbox/follow.ts';
import type { Waiting } from './mailbox/waiting.ts';
import type { Recorder } from './record/recorder.ts';

export interface Figures {
  readonly calls: DirectCalls;
  readonly streams: Streams;
  readonly targets: Targets;
  readonly recorder: Recorder;
  readonly waiting: Waiting;
  readonly drains: Drains;
  readonly mailbox: Mailbox;
  readonly followers: Followers;
  readonly replyMemory: ReplyMemory;
  readonly lost: Readonly<Record<'fenced' | 'refused' | 'bodies', number>>;
}

export function exposeMetrics(metrics: Basics['metrics'], figures: Figures): void {
  const { calls, streams, targets, recorder, waiting, drains, mailbox, followers, replyMemory, lost } = figures;
  const gauge = (name: string, help: string, read: () => number) => exposeGauge(metrics, { name, help, read });
  gauge('a2a_in_flight', 'Requests to agents in flight.', () => targets.size);
  gauge('a2a_recorder_backlog', 'Records that wait to be written.', () => recorder.backlog);
  gauge('a2a_mailboxes_waiting', 'Workspaces that messages wait for, as far as this process knows.', () => waiting.size);
  gauge('a2a_mailbox_deliveries', 'Messages from mailboxes that are being delivered.', () => drains.running);
  gauge('a2a_streams_open', 'Streams of events that are being passed on to a client.', () => streams.open);
  gauge('a2a_mailbox_followers', 'Requests that wait for a queued message to end.', () => followers.size);
  gauge('a2a_reply_bytes', 'What replies take that are being read, the small ones aside.', () => replyMemory.total);
  exposeCounter(metrics, {
    name: 'a2a_replies_broken_off_total',
    help: 'Replies that were not read, or not kept, to their end since the start because all together took too much memory.',
    read: () => replyMemory.brokenOff,
  });
  exposeCounter(metrics, {
    name: 'a2a_mailbox_full_total',
    help: 'Messages that were turned away since the start because as many waited as may.',
    read: () => mailbox.full,
  });
  const labelled = (name: string, help: string, label: string, read: () => Readonly<Record<string, number>>) =>
    exposeCounters(metrics, { name, help, label, read: () => Object.entries(read()) });
  labelled('a2a_calls_total', 'Direct calls since the start, by how they went.', 'outcome', () => calls.counts);
  labelled('a2a_streams_total', 'Streams to clients since the start, by how they ended.', 'how', () => streams.counts);
  labelled(
    'a2a_records_lost_total',
    'Records that were fenced off, refused, or written without their large bodies since the start.',
    'why',
    () => lost,
  );
}
