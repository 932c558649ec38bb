/**
 * Lists of workspaces as the wire shows them. Of ten thousand elements only those are read and rendered again that have changed.
 *
 *   L1. Which rows a list has, in which order and in which version, is asked of the database at every read: it shows whatever any
 *       replica committed before it was asked for (I4), and two replicas answer alike.
 *   L2. The version of a row is PostgreSQL's own beside that of its stream: no writer can forget to raise it, and a repair of the
 *       table raises it too (I3).
 *   L3. An element is rendered once per version of its row and per beat. What templates say of timeouts is the same for as long as
 *       the process lives.
 *   L4. So many rows are kept and no more; a longer list is whole all the same.
 *   L5. Who asks for the whole list while one is being made shares the next one, which is begun after all of them have asked.
 */
import type { Kysely } from 'kysely';
import type { Tables } from '../database.ts';
import { type Head, headsOfAll, headsOfPeers, rowsOf, type WorkspaceRow } from './queries.ts';
import type { Vitals } from './vitals.ts';
import { listed, peer, type Timeouts } from './wire.ts';

/** About 2 KB each (L4). */
const MAX_ROWS = 20_000;

/** Peers are not told of them. */
const NO_TIMEOUTS: Timeouts = new Map();

const VIEWS = { listed, peer } as const;
type View = keyof typeof VIEWS;

/** As it goes out. */
type Json = Uint8Array<ArrayBuffer>;

interface Kept {
  readonly version: string;
  readonly row: WorkspaceRow;
  readonly elements: { [view in View]?: { readonly vitals: Vitals | null; readonly json: string } };
}

export interface ListsParts {
  readonly db: Kysely<Tables>;
  readonly vitalsOf: (workspaceId: string) => Vitals | null;
  readonly timeouts: () => Promise<Timeouts>;
  readonly maxRows?: number;
}

export class Lists {
  readonly #db: Kysely<Tables>;
  readonly #vitalsOf: ListsParts['vitalsOf'];
  readonly #timeouts: ListsParts['timeouts'];
  readonly #maxRows: number;
  readonly #kept = new Map<string, Kept>();

  constructor({ db, vitalsOf, timeouts, maxRows = MAX_ROWS }: ListsParts) {
    this.#db = db;
    this.#vitalsOf = vitalsOf;
    this.#timeouts = timeouts;
    this.#maxRows = maxRows;
  }

  /** The body of `GET /workspaces`. */
  readonly all: () => Promise<Json> = sharing(async () => {
    const timeouts = await this.#timeouts();
    const heads = await headsOfAll(this.#db);
    const rows = await this.#rowsOf(heads);
    this.#keepOnly(heads);
    return this.#render('listed', rows, timeouts);
  });

  /** The body of `GET /registry/:id/peers`: those whose name or role contains `wanted`, in lower case. */
  async peers(of: WorkspaceRow, wanted: string): Promise<Json> {
    const rows = await this.#rowsOf(await headsOfPeers(this.#db, of));
    return this.#render('peer', wanted === '' ? rows : rows.filter(({ row }) => isWanted(row, wanted)), NO_TIMEOUTS);
  }

  /** L1, L2. What was removed between the two questions is left out; what is newer by then is shown as it is then. */
  async #rowsOf(heads: readonly Head[]): Promise<Kept[]> {
    const current = heads.map(({ id, version }) => {
      const kept = this.#kept.get(id);
      return kept?.version === version ? kept : undefined;
    });
    const changed = heads.filter((_, index) => current[index] === undefined).map(({ id }) => id);
    const read = new Map<string, Kept>();
    for await (const row of rowsOf(this.#db, changed)) read.set(row.workspace_id, this.#keep(row));
    return heads.flatMap(({ id }, index) => current[index] ?? read.get(id) ?? []);
  }

  #keep({ head_version: version, ...row }: WorkspaceRow & { readonly head_version: string }): Kept {
    const kept: Kept = { version, row, elements: {} };
    if (this.#kept.size < this.#maxRows || this.#kept.has(row.workspace_id)) this.#kept.set(row.workspace_id, kept);
    return kept;
  }

  /** L4: forgets what is in no list any more. */
  #keepOnly(heads: readonly Head[]): void {
    if (this.#kept.size <= heads.length) return;
    const present = new Set(heads.map(({ id }) => id));
    for (const id of this.#kept.keys()) if (!present.has(id)) this.#kept.delete(id);
  }

  #render(view: View, rows: readonly Kept[], timeouts: Timeouts): Json {
    return Buffer.from(`[${rows.map((kept) => this.#element(view, kept, timeouts)).join(',')}]`);
  }

  /** L3. */
  #element(view: View, { row, elements }: Kept, timeouts: Timeouts): string {
    const vitals = this.#vitalsOf(row.workspace_id);
    let element = elements[view];
    if (element === undefined || element.vitals !== vitals) {
      element = { vitals, json: JSON.stringify(VIEWS[view](row, vitals, timeouts)) };
      elements[view] = element;
    }
    return element.json;
  }
}

/** Whether the name or the role of a peer contains this, in lower case; not both together. */
export const isWanted = ({ name, role }: Pick<WorkspaceRow, 'name' | 'role'>, wanted: string): boolean =>
  [name, role ?? ''].some((text) => text.toLowerCase().includes(wanted));

/** One run at a time; who asks meanwhile shares the next (L5). A failure is told to those who shared it, and to nobody else. */
export function sharing<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<Result> | undefined;
  return () => {
    next ??= running.then(() => {
      const started = run();
      running = started.catch(() => undefined);
      next = undefined;
      return started;
    });
    return next;
  };
}
