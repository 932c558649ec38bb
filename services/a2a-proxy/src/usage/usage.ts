/** What a reply says of the tokens it took (spec 2 §1.11). Pure and total: no reply, however odd, makes this throw. */
import { own } from '../call/normalise.ts';

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

const MAX_TOKENS = 10_000_000;

/** `result.usage`, else top-level `usage`; `null` for none, for a malformed one, and for one of nothing. */
export function usageOf(json: unknown): Usage | null {
  const usage = own(own(json, 'result'), 'usage') ?? own(json, 'usage');
  const inputTokens = tokens(own(usage, 'input_tokens'));
  const outputTokens = tokens(own(usage, 'output_tokens'));
  if (inputTokens === null || outputTokens === null || inputTokens + outputTokens === 0) return null;
  return { inputTokens, outputTokens };
}

/** Absent is none; what is no integer makes the whole malformed. */
function tokens(value: unknown): number | null {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value)) return null;
  return Math.min(Math.max(value, 0), MAX_TOKENS);
}

/** What was used on one UTC day, by workspace: added up until it is written down. */
export class UsageSum {
  readonly #byDay = new Map<string, { workspaceId: string; day: string; input: number; output: number; calls: number }>();

  add(workspaceId: string, { inputTokens, outputTokens }: Usage, at: Date): void {
    const day = at.toISOString().slice(0, 10);
    const key = `${workspaceId} ${day}`;
    const sum = this.#byDay.get(key) ?? { workspaceId, day, input: 0, output: 0, calls: 0 };
    sum.input += inputTokens;
    sum.output += outputTokens;
    sum.calls++;
    this.#byDay.set(key, sum);
  }

  get size(): number {
    return this.#byDay.size;
  }

  rows() {
    return [...this.#byDay.values()];
  }
}

/** US dollars with six decimals: 3 a million tokens in, 15 a million out. */
export function costOf(inputTokens: bigint, outputTokens: bigint): string {
  const micros = inputTokens * 3n + outputTokens * 15n;
  return `${micros / 1_000_000n}.${(micros % 1_000_000n).toString().padStart(6, '0')}`;
}
