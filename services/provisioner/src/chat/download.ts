/** Gives a file of a workspace to a client, in the order of checks of spec 2 §5.2. */
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { id12, Refusal } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { type AgentPath, type PathFault, parseAgentPath, ROOTS } from '../backends/agent-path.ts';
import type { Backend, CopyOutOutcome } from '../backends/backend.ts';
import { attachmentNamed, typeOf } from './names.ts';
import { notRunning } from './upload.ts';

export interface DownloadParts {
  readonly backend: Backend;
  /** How long it may take until the first byte is there. */
  readonly startMs: number;
  /** How long a client may take nothing. */
  readonly silenceMs: number;
}

const FAULTS = {
  'not-absolute': 'path must be absolute',
  outside: `path must be under ${ROOTS.slice(0, -1).join(', ')}, or ${ROOTS.at(-1)}`,
  'not-canonical': 'invalid path',
} as const satisfies Record<PathFault, string>;

/** @throws Refusal */
export function pathOf(query: string | undefined): AgentPath {
  if (query === undefined || query === '') throw new Refusal('invalid', 'path query required');
  const path = parseAgentPath(query);
  if (typeof path === 'string') throw new Refusal('invalid', FAULTS[path]);
  return path;
}

/** Answers with the file. Once that has begun, what fails ends the connection. @throws Refusal */
export async function download(
  workspaceId: string,
  path: AgentPath,
  outgoing: ServerResponse,
  { backend, startMs, silenceMs }: DownloadParts,
  log: Log,
): Promise<void> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error(`no byte came for ${startMs} ms`)), startMs);
  outgoing.once('close', () => ending.abort(new Error('the client has gone')));
  const found = await backend.copyOut(id12(workspaceId), path, ending.signal).finally(() => clearTimeout(timer));
  if (found.outcome !== 'file') throw refusalOf(found, log);
  const name = path.names.at(-1) ?? '';
  outgoing.setTimeout(silenceMs, () => outgoing.destroy());
  outgoing.writeHead(200, {
    'content-type': typeOf(name) ?? 'application/octet-stream',
    'content-disposition': attachmentNamed(name), // before the length: after it, node would encode it once more
    'content-length': found.size,
  });
  await pipeline(found.content, outgoing).catch((error: unknown) =>
    log.warn({ err: error, workspaceId }, 'a download ended before the file did'),
  );
}

function refusalOf(found: Exclude<CopyOutOutcome, { outcome: 'file' }>, log: Log): Refusal {
  switch (found.outcome) {
    case 'unavailable':
      return new Refusal('unavailable', 'docker unavailable', { cause: found.cause });
    case 'not-running':
      return notRunning();
    case 'not-found':
      return new Refusal('not-found', 'file not found');
    case 'failed':
      log.warn({ err: found.cause }, 'a file could not be read');
      return new Refusal('failed', 'failed to read archive', { cause: found.cause });
    case 'not-a-file':
      return new Refusal('invalid', 'path is not a regular file');
  }
}
