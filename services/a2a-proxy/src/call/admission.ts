/** May this caller's message go to this workspace now, and where to (spec 2 §1.3–1.6): all from memory. */
import { type DirectoryEntry, isWorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import { isUnavailable } from '@molecule/http';
import type { Parts } from '../parts.ts';
import { type Answer, answers } from './answer.ts';
import type { Caller } from './caller.ts';
import type { Endpoint } from './endpoints.ts';

export type Admission =
  | { readonly entry: DirectoryEntry; readonly endpoint: Endpoint }
  | { readonly answer: Answer; readonly entry?: DirectoryEntry };

/** Stopped on purpose, or about to be: nothing is sent there, whatever address is still known of it (I4). */
const RESTING: ReadonlySet<WorkspaceStatus> = new Set(['paused', 'hibernating', 'hibernated', 'removed']);

export const isResting = ({ status }: DirectoryEntry): boolean => RESTING.has(status);

/** A look-up that could not be made. It opens no door (I9). */
const UNKNOWN = Symbol('could not be looked up');

export class Admissions {
  readonly #parts: Pick<Parts, 'directory' | 'capabilities' | 'endpoints' | 'dialled' | 'wake' | 'log'>;

  constructor(parts: Pick<Parts, 'directory' | 'capabilities' | 'endpoints' | 'dialled' | 'wake' | 'log'>) {
    this.#parts = parts;
  }

  /** Each step may end the request, in the order of the specification. */
  async admit(caller: Caller, target: string): Promise<Admission> {
    const { capabilities, endpoints, dialled } = this.#parts;
    const found = await this.find(caller, target);
    if ('answer' in found) return found;
    const { entry } = found;

    const spent = capabilities.monthlySpend(entry.workspaceId) ?? entry.monthlySpend;
    if (entry.budgetLimit !== null && spent >= entry.budgetLimit) return { answer: answers.overBudget, entry };

    if (entry.url === '' || isResting(entry)) return { answer: this.#nowhere(entry), entry };
    const endpoint = await endpoints.open(dialled(entry.url, entry.workspaceId), { located: entry.located === true });
    return endpoint ? { entry, endpoint } : { answer: answers.notRoutable, entry };
  }

  /** The workspace, if there is one and the caller may speak to it. */
  async find(caller: Caller, target: string): Promise<{ readonly entry: DirectoryEntry } | { readonly answer: Answer }> {
    const { directory } = this.#parts;
    const found = directory.get(target) ?? (await this.#lookUp(target));
    const entry = found !== UNKNOWN && found?.purged ? undefined : found;

    if (caller.source === 'workspace') {
      const known = directory.get(caller.name) ?? (await this.#lookUp(caller.name));
      if (entry === UNKNOWN || known === UNKNOWN) return { answer: answers.unavailable };
      if (!entry || !known || !directory.canCommunicate(known.workspaceId, entry.workspaceId))
        return { answer: answers.accessDenied };
    }
    if (entry === UNKNOWN) return { answer: answers.lookupFailed };
    if (!entry) return { answer: isWorkspaceId(target) ? answers.notFound : answers.lookupFailed };
    return { entry };
  }

  /** A sleeping workspace is started by the message that comes for it; the message itself is not kept (spec 1 §2.4). */
  #nowhere({ workspaceId, status }: DirectoryEntry): Answer {
    if (status !== 'hibernated') return answers.noUrl(status);
    this.#parts.wake(workspaceId);
    return answers.waking;
  }

  /** Not in memory: created a moment ago, or never. */
  async #lookUp(workspaceId: string): Promise<DirectoryEntry | undefined | typeof UNKNOWN> {
    if (!isWorkspaceId(workspaceId)) return undefined;
    try {
      return await this.#parts.directory.resolve(workspaceId);
    } catch (error) {
      if (!isUnavailable(error)) this.#parts.log.error({ err: error }, 'a workspace could not be looked up');
      return UNKNOWN;
    }
  }
}
