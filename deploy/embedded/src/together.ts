/** Opens several things at the same time, each in a scope of its own, and closes them at the same time. */
import { Scope } from '@molecule/service';

type Opening<Value> = (own: Scope) => Promise<Value>;

/**
 * Resolves when all are open. The first that fails ends the opening of the others, and is what is thrown, after every one of
 * them is over: nothing opens behind our back. `parent` closes what was opened.
 */
export async function openTogether<Values extends Record<string, unknown>>(
  parent: Scope,
  openings: { readonly [Name in keyof Values]: Opening<Values[Name]> },
): Promise<Values> {
  const names = Object.keys(openings) as (keyof Values & string)[];
  const scopes = names.map(() => new Scope());
  const stopOpening = () => {
    for (const scope of scopes) scope.stopOpening();
  };
  parent.signal.addEventListener('abort', stopOpening);
  await parent.open(
    () => scopes,
    async () => {
      parent.signal.removeEventListener('abort', stopOpening);
      await throwAll(scopes.map((scope) => scope.close()));
    },
  );

  parent.signal.throwIfAborted();

  const failures: unknown[] = [];
  const opened = await Promise.all(
    names.map((name, index) =>
      openings[name](scopes[index] as Scope).catch((error: unknown) => {
        failures.push(error);
        stopOpening();
      }),
    ),
  );
  if (failures.length > 0) throw failures[0];
  return Object.fromEntries(names.map((name, index) => [name, opened[index]])) as Values;
}

async function throwAll(promises: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(promises)).flatMap((result) =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  if (failures.length > 0) throw new AggregateError(failures, 'not everything could be closed');
}
