/** Every fact there is, by type: one record the bus, the log and the canvas translation share. */
import type { z } from 'zod';
import type { FactContract, RecordedFactOf } from '../define.ts';
import { a2aFacts, agentFacts } from './a2a.ts';
import { accessFacts, denialFacts } from './access.ts';
import { containerFacts } from './container.ts';
import { delegationFacts } from './delegation.ts';
import { noticeFacts } from './notice.ts';
import { scheduleFacts } from './schedule.ts';
import { sweepFacts } from './sweep.ts';
import { workspaceFacts } from './workspace.ts';

export const FACTS = {
  ...workspaceFacts,
  ...accessFacts,
  ...denialFacts,
  ...noticeFacts,
  ...a2aFacts,
  ...agentFacts,
  ...delegationFacts,
  ...scheduleFacts,
  ...containerFacts,
  ...sweepFacts,
} as const;
export type FactType = keyof typeof FACTS;
export type AnyFact = {
  [Type in FactType]: { readonly type: Type; readonly data: z.infer<(typeof FACTS)[Type]['schema']> };
}[FactType];
export type AnyRecordedFact = RecordedFactOf<typeof FACTS>;

export const factContract = (type: string): FactContract | undefined => (FACTS as Readonly<Record<string, FactContract>>)[type];

/** The first tokens of the subjects of facts: what the stream FACTS stores. */
export const FACT_CONTEXTS = [...new Set(Object.keys(FACTS).map((type) => type.split('.')[0] as string))];
