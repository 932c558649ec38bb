/** The public surface of @molecule/bus. What is not named here is private to the package. */
export { ask } from './ask.ts';
export { BeatFeed, type BeatListener } from './beat-feed.ts';
export { BeatPublisher } from './beats.ts';
export { type Bus, type BusCounts, type OpenBusOptions, openBus } from './connection.ts';
export { type ConsumeFactsOptions, type ConsumerLag, consumeFacts, consumerLag, type DeliveredFact } from './consume.ts';
export {
  AskNoResponder,
  AskRefused,
  AskTimeout,
  FactsGone,
  FactTooLarge,
  isBusUnavailable,
  StreamCannotChange,
} from './errors.ts';
export { type FactsExtent, factsExtent, type PlacedFact, readFacts } from './facts-log.ts';
export { ServerTooOld } from './features.ts';
export { type FactPlace, type FollowFactsOptions, type Following, followFacts } from './follow.ts';
export { heardAt, heardMs } from './heard-at.ts';
export { lastFact } from './last-fact.ts';
export { followLive, LivePublisher } from './live.ts';
export { exposeBusCounts } from './metrics.ts';
export { listParked, type Parked, ParkedBody, park, redriveParked } from './parked.ts';
export { publishFacts } from './publish.ts';
export { type Handler, RequestServer } from './requests.ts';
export { type EnsureStreamsOptions, ensureStreams, type FactsMark, factsMark, type StreamLimits } from './streams.ts';
