/** What the a2a-proxy's routes share: how many entries are asked for, and failures with a text of their own. */
import { platformUnavailable, Refusal } from '@molecule/contracts';
import { isUnavailable as isStoreAway } from '@molecule/event-store';
import { isUnavailable, type WithContext } from '@molecule/http';
import type { Context } from 'hono';

export interface PageSize {
  readonly usual: number;
  readonly most: number;
}

/** A `limit` as a client gave it: a whole number above 0, up to the most; anything else is the usual. */
export function pageLimit(text: string | undefined, { usual, most }: PageSize): number {
  const value = /^\+?\d+$/.test(text ?? '') ? Number(text) : 0;
  return value > 0 ? Math.min(value, most) : usual;
}

/** Does `work`; what goes wrong in it, but a refusal or a dependency that is away, is logged and answered with the route's own 500 text. */
export async function orFail<Result>(c: Context<WithContext>, text: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (isUnavailable(error) || isStoreAway(error)) throw platformUnavailable(error);
    c.get('log').error({ err: error, answer: text }, 'a request failed');
    throw new Refusal('failed', text, { cause: error });
  }
}
