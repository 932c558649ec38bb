/**
 * The reference as the gateway serves it: two documents that were generated before (`npm run reference`), so that they are there
 * whatever services are up, and one page that shows them.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Log } from '@molecule/service';

const GENERATED = join(import.meta.dirname, '../../../../docs/reference');
const PAGE = join(import.meta.dirname, 'page.html');

export interface Reference {
  /** Compact JSON; `null`: there is no such file. */
  readonly openapi: string | null;
  readonly asyncapi: string | null;
  /** HTML. */
  readonly page: string;
}

/** Read once. A gateway without documents does everything else; that they are missing is logged. `dir` `''`: those that come with it. */
export function readReference(dir: string, log: Log): Reference {
  const read = (name: string): string | null => {
    const file = join(dir === '' ? GENERATED : resolve(dir), name);
    try {
      return JSON.stringify(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      log.warn({ err: error, file }, 'a reference document cannot be served');
      return null;
    }
  };
  return { openapi: read('openapi.json'), asyncapi: read('asyncapi.json'), page: readFileSync(PAGE, 'utf8') };
}
