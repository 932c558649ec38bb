/**
 * Requests: the server's side.
 *
 *   R1. Every request gets one answer: the output, a refusal, or that it failed. What failed is in our log, not in the answer.
 *   R2. The replicas of a service share its requests.
 *   R3. No more than so many are answered at a time; the rest hear `unavailable` at once.
 */
import { platformUnavailable, Refusal, type RpcContract, type ServiceName } from '@molecule/contracts';
import { type Log, sleep } from '@molecule/service';
import type { Msg, Subscription } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Answer } from './ask.ts';
import type { Bus } from './connection.ts';

const MAX_IN_FLIGHT = 512;
const DRAIN_MS = 5_000;

export type Handler<Input extends z.ZodType, Output extends z.ZodType> = (
  input: z.infer<Input>,
) => Promise<z.input<Output>> | z.input<Output>;

export class RequestServer {
  readonly #bus: Bus;
  readonly #service: ServiceName;
  readonly #log: Log;
  readonly #subscriptions: Subscription[] = [];
  readonly #inFlight = new Set<Promise<void>>();

  constructor(bus: Bus, service: ServiceName, log: Log) {
    this.#bus = bus;
    this.#service = service;
    this.#log = log;
  }

  /** Answers `contract` with what `handle` yields. A `Refusal` it throws reaches the caller as one. */
  serve<Input extends z.ZodType, Output extends z.ZodType>(
    contract: RpcContract<Input, Output>,
    handle: Handler<Input, Output>,
  ): void {
    const { subject } = contract;
    const callback = (error: Error | null, message: Msg) => {
      if (error) return this.#log.error({ err: error, subject }, 'a request subscription failed');
      if (this.#inFlight.size >= MAX_IN_FLIGHT) {
        this.#bus.counts.requestsShed++;
        return this.#reply(message, refused(platformUnavailable())); // R3
      }
      const answering = this.#answer(message, contract, handle).finally(() => this.#inFlight.delete(answering));
      this.#inFlight.add(answering);
    };
    this.#subscriptions.push(this.#bus.nats.subscribe(subject, { queue: this.#service, callback }));
  }

  /** Takes nothing new, and resolves when the last answer has been given, or after 5 s. */
  async drain(): Promise<void> {
    const bound = new AbortController();
    const drained = async () => {
      await Promise.all(this.#subscriptions.map((subscription) => subscription.drain().catch(() => {})));
      await Promise.all(this.#inFlight);
    };
    await Promise.race([drained(), sleep(DRAIN_MS, bound.signal)]);
    bound.abort();
  }

  async #answer<Input extends z.ZodType, Output extends z.ZodType>(
    message: Msg,
    { subject, input, output }: RpcContract<Input, Output>,
    handle: Handler<Input, Output>,
  ): Promise<void> {
    const request = input.safeParse(parse(message));
    if (!request.success) {
      this.#log.warn({ subject, issues: request.error.issues }, 'a request does not fit its contract');
      return this.#reply(message, { failed: `the request does not fit ${subject}: ${z.prettifyError(request.error)}` });
    }
    try {
      const answer = output.safeParse(await handle(request.data));
      if (answer.success) return this.#reply(message, { ok: answer.data });
      this.#log.error({ subject, issues: answer.error.issues }, 'an answer does not fit its contract');
      this.#reply(message, { failed: `${subject} failed` });
    } catch (error) {
      if (error instanceof Refusal) return this.#reply(message, refused(error));
      this.#log.error({ err: error, subject }, 'a request failed');
      this.#reply(message, { failed: `${subject} failed` }); // R1
    }
  }

  #reply(message: Msg, answer: Answer): void {
    try {
      message.respond(JSON.stringify(answer));
    } catch (error) {
      this.#log.error({ err: error, subject: message.subject }, 'an answer could not be sent');
    }
  }
}

const refused = ({ kind, message, body, headers }: Refusal): Answer => ({
  refusal: { kind, message, body: { ...body }, headers: { ...headers } },
});

function parse(message: Msg): unknown {
  try {
    return message.data.length === 0 ? {} : JSON.parse(message.string());
  } catch {
    return undefined;
  }
}
