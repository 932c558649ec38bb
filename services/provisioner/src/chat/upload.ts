/**
 * Puts the files of an upload into a workspace, in the order of checks of spec 2 §5.1.
 *
 *   U1. All of them are there afterwards, under names of their own, or none is.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { id12, Refusal } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { type AgentPath, textOf } from '../backends/agent-path.ts';
import type { Backend, FileIn } from '../backends/backend.ts';
import type { Spool } from '../spool.ts';
import { safeName, typeOf } from './names.ts';
import { notStaged, type ReceivedFile, receiveFiles, type UploadLimits } from './receive.ts';

export interface UploadParts {
  readonly backend: Backend;
  readonly spool: Spool;
  readonly limits: UploadLimits;
  /** How long the backend may take to write it all. */
  readonly copyMs: number;
}

export interface ChatFile {
  readonly uri: string;
  readonly name: string;
  readonly mimeType?: string;
  readonly size: number;
}

const DIRECTORY = ['.molecule', 'chat-uploads'];
const MODE = 0o644;
const LOOK_LIMIT_MS = 10_000;
const DRAWS = 4;

export const notRunning = (cause?: unknown): Refusal => new Refusal('unavailable', 'workspace container not running', { cause });

/** @throws Refusal */
export async function upload(
  workspaceId: string,
  incoming: IncomingMessage,
  { backend, spool, limits, copyMs }: UploadParts,
  log: Log,
): Promise<ChatFile[]> {
  const prefix = id12(workspaceId);
  const { files, close } = await receiveFiles(incoming, spool, limits);
  try {
    if (files.length === 0) throw new Refusal('invalid', "expected at least one 'files' field");
    const { running, certain } = await backend.isRunning(prefix, AbortSignal.timeout(LOOK_LIMIT_MS));
    if (!running || !certain) throw notRunning();
    const tooLarge = files.find((file) => file.tooLarge);
    if (tooLarge !== undefined) throw new Refusal('too-large', `${tooLarge.original} exceeds per-file limit (25 MB)`);
    if (files.some(({ encoded }) => encoded)) throw new Refusal('invalid', 'failed to read upload');

    const stored = named(files, allocate(files.length));
    const outcome = await backend.copyIn(
      prefix,
      stored.map(({ file }) => file),
      AbortSignal.timeout(copyMs),
    );
    switch (outcome.outcome) {
      case 'copied':
        return stored.map(({ answer }) => answer);
      case 'failed':
        log.warn({ err: outcome.cause, workspaceId }, 'chat files could not be staged');
        throw notStaged(outcome.cause);
      case 'unavailable':
        log.warn({ err: outcome.cause, workspaceId }, 'chat files could not be staged');
        throw notRunning(outcome.cause);
      case 'not-running':
        throw notRunning();
    }
  } finally {
    await close();
  }
}

/** So many ids, each another. @throws Refusal when there are none to be had */
export function allocate(count: number, draw: () => string = () => randomBytes(16).toString('hex')): string[] {
  const ids = new Set<string>();
  for (let draws = 0; ids.size < count; draws++) {
    if (draws === count * DRAWS) throw new Refusal('failed', 'failed to allocate unique upload ID');
    try {
      ids.add(draw());
    } catch (cause) {
      throw new Refusal('failed', 'failed to allocate upload ID', { cause });
    }
  }
  return [...ids];
}

const named = (files: readonly ReceivedFile[], ids: readonly string[]): { readonly file: FileIn; readonly answer: ChatFile }[] =>
  files.map(({ original, contentType, size, open }, index) => {
    const name = safeName(original);
    const path: AgentPath = { root: '/workspace', names: [...DIRECTORY, `${ids[index]}-${name}`] };
    const mimeType = contentType ?? typeOf(name);
    return {
      file: { path, mode: MODE, size, open },
      answer: { uri: `workspace:${textOf(path)}`, name, ...(mimeType !== undefined && { mimeType }), size },
    };
  });
