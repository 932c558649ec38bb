/** A registry for this package's tests: it keeps facts, publishes them, and answers for them over a real bus. */
import { type Bus, publishFacts, RequestServer } from '@molecule/bus';
import { ask, type DirectoryEntry, type RecordedWorkspaceFact, type WorkspaceId } from '@molecule/contracts';
import { createLog, type Log, systemClock } from '@molecule/service';
import { onTestFinished } from 'vitest';
import { applyFact } from './apply-fact.ts';
import { Directory } from './directory.ts';
import { created, fact } from './test-facts.ts';

export const silent: Log = createLog({ service: 'test', level: 'error', destination: { write: () => {} } });

export class TestRegistry {
  readonly rows = new Map<string, DirectoryEntry>();
  /** How often it was asked for a page, and for a workspace. */
  pages = 0;
  resolved = 0;
  pageSize = 100;
  /** Called before a page is answered. */
  beforePage: () => Promise<void> = async () => {};
  readonly #publish: ReturnType<typeof publishFacts>;
  readonly #requests: RequestServer;

  constructor(bus: Bus) {
    const stopping = new AbortController();
    onTestFinished(() => stopping.abort());
    this.#publish = publishFacts(bus, silent, stopping.signal);
    this.#requests = new RequestServer(bus, 'registry', silent);
  }

  serve(): void {
    this.#requests.serve(ask.registry.directory, async ({ after }) => {
      this.pages++;
      await this.beforePage();
      const sorted = [...this.rows.values()].toSorted((a, b) => (a.workspaceId < b.workspaceId ? -1 : 1));
      const rest = sorted.filter(({ workspaceId }) => after === null || workspaceId > after);
      const entries = rest.slice(0, this.pageSize);
      return { entries, next: rest.length > this.pageSize ? (entries.at(-1)?.workspaceId ?? null) : null };
    });
    this.#requests.serve(ask.registry.resolve, ({ workspaceId }) => {
      this.resolved++;
      return { entry: this.rows.get(workspaceId) ?? null };
    });
  }

  /** Decides: rows change, and nobody has heard of it yet. */
  decide(...facts: RecordedWorkspaceFact[]): RecordedWorkspaceFact[] {
    for (const one of facts) this.rows.set(one.workspaceId, applyFact(this.rows.get(one.workspaceId), one));
    return facts;
  }

  /** Decides, and tells. */
  async say(...facts: RecordedWorkspaceFact[]): Promise<void> {
    await this.#publish(this.decide(...facts));
  }

  /** Tells what was decided before. */
  async tell(...facts: RecordedWorkspaceFact[]): Promise<void> {
    await this.#publish(facts);
  }

  version(workspaceId: string): number {
    return this.rows.get(workspaceId)?.version ?? 0;
  }

  create(workspaceId: string, parentId: WorkspaceId | null = null): Promise<void> {
    return this.say(created(workspaceId, { parentId }));
  }

  rename(workspaceId: string, name: string): RecordedWorkspaceFact {
    return fact(workspaceId, this.version(workspaceId) + 1, 'workspace.changed', { name });
  }
}

/** A directory that is stopped when the test is over. */
export async function openDirectory(bus: Bus, instance: string, log: Log = silent): Promise<Directory> {
  const stopping = new AbortController();
  const opening = Directory.open(bus, { service: 'gateway', instance, log, clock: systemClock, signal: stopping.signal });
  onTestFinished(async () => {
    stopping.abort();
    await opening.then(
      (directory) => directory.stop(),
      () => {},
    );
  });
  return opening;
}
