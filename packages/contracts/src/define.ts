/** How the language of the bus is written down: families of facts, requests, and the live messages between them. */
import type { z } from 'zod';

/** Who gets to hear a fact: every service over the bus, or only the owner's own log (ADR 0003). */
export type Audience = 'all' | 'owner';

/** What a fact may be in the log, as JSON, so that it fits a message of the bus (64 KiB) with its envelope (D10). */
export const MAX_FACT_BYTES = 60 * 1024;

export interface FactContract<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  readonly audience: Audience;
}

/** A fact as a decision yields it: what happened, in the past tense, and its data. */
export interface Fact<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly data: Data;
}

/** A fact as it stands in the log, and as it travels. */
export interface RecordedFact<Type extends string = string, Data = unknown> extends Fact<Type, Data> {
  /** Unique; makes repeated deliveries harmless, and is the message id on the bus. */
  readonly id: string;
  /** `<noun>.<id>`: the aggregate this fact belongs to. */
  readonly stream: string;
  /** 1, 2, 3 … without gaps within a stream. */
  readonly version: number;
  /** Which shape of `data` was written; older shapes are brought up to date when read. */
  readonly schema: number;
  /** The workspace it concerns; `platform` for what concerns none. Last token of the subject. */
  readonly workspaceId: string;
  /** RFC 3339, the database's clock. */
  readonly recordedAt: string;
  readonly commandId: string;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  readonly traceparent: string | null;
}

export type FactFamily = Readonly<Record<`${string}.${string}`, FactContract>>;

type DataOf<Contract> = Contract extends FactContract<infer Schema> ? z.infer<Schema> : never;

/** The union of facts that a family describes. */
export type FactOf<Family extends FactFamily> = {
  [Type in keyof Family & string]: Fact<Type, DataOf<Family[Type]>>;
}[keyof Family & string];

/** The same union, as recorded. */
export type RecordedFactOf<Family extends FactFamily> = {
  [Type in keyof Family & string]: RecordedFact<Type, DataOf<Family[Type]>>;
}[keyof Family & string];

/** A family of facts: `{ 'workspace.created': { schema, audience } }`. */
export const defineFacts = <Family extends FactFamily>(family: Family): Readonly<Family> => Object.freeze(family);

/** One request of one service: caller and server name the same value, so they cannot disagree. */
export interface RpcContract<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> {
  readonly subject: `ask.${string}.${string}`;
  readonly input: Input;
  readonly output: Output;
}

export const defineRpc = <Input extends z.ZodType, Output extends z.ZodType>(
  contract: RpcContract<Input, Output>,
): RpcContract<Input, Output> => Object.freeze(contract);
