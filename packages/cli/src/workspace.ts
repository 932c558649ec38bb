/** A workspace as a person names it: by its id, or by its name where that is the only one. */
import { z } from 'zod';
import type { Api } from './api.ts';
import { oneLine } from './format.ts';
import { CliError } from './terminal.ts';

const Workspaces = z.array(z.looseObject({ id: z.string(), name: z.string() }));

/** @throws CliError where there is none of that name, or more than one */
export async function workspaceId(api: Api, named: string): Promise<string> {
  if (z.guid().safeParse(named).success) return named.toLowerCase();
  const found = (await api.get('/workspaces', Workspaces)).filter(({ name }) => name === named);
  const [only, ...others] = found;
  if (only === undefined) throw new CliError(`There is no workspace with the id or the name ${JSON.stringify(oneLine(named))}.`);
  if (others.length > 0)
    throw new CliError(
      `${found.length} workspaces are called ${JSON.stringify(oneLine(named))}: ${found.map(({ id }) => id).join(', ')}`,
    );
  return only.id;
}
