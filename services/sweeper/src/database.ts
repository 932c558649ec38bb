/** The sweeper's tables, as `migrations/sweeper/` makes them. */
import type { ColumnType } from 'kysely';

export interface Tables {
  finding_list: {
    fact_id: string;
    kind: string;
    about: string;
    evidence: ColumnType<unknown, string, string>;
    found_at: Date;
  };
}
