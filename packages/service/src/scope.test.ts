import { describe, expect, it } from 'vitest';
import { Scope } from './scope.ts';

describe('a scope', () => {
  it('closes in reverse order, once', async () => {
    const scope = new Scope();
    const closed: string[] = [];
    for (const name of ['bus', 'ledger', 'server'])
      await scope.open(
        () => name,
        (resource) => closed.push(resource),
      );
    await Promise.all([scope.close(), scope.close()]);
    await scope.close();
    expect(closed).toEqual(['server', 'ledger', 'bus']);
  });

  it('closes the rest when one cannot be closed, and says so', async () => {
    const scope = new Scope();
    const closed: string[] = [];
    await scope.open(
      () => 'bus',
      (resource) => closed.push(resource),
    );
    await scope.open(
      () => 'ledger',
      () => Promise.reject(new Error('stuck')),
    );
    await expect(scope.close()).rejects.toThrow(AggregateError);
    expect(closed).toEqual(['bus']);
  });

  it('forgets what could not be opened', async () => {
    const scope = new Scope();
    await expect(
      scope.open(
        () => Promise.reject(new Error('no')),
        () => {
          throw new Error('never');
        },
      ),
    ).rejects.toThrow('no');
    await scope.close();
  });

  it('lets go at once of what becomes open while it closes', async () => {
    const scope = new Scope();
    const { promise, resolve } = Promise.withResolvers<string>();
    const closed: string[] = [];
    const opening = scope.open(
      () => promise,
      (resource) => closed.push(resource),
    );
    await scope.close();
    resolve('late');
    await expect(opening).rejects.toThrow();
    expect(closed).toEqual(['late']);
  });

  it('opens nothing more once told to stop, and its signal says so; what is open stays', async () => {
    const scope = new Scope();
    const closed: string[] = [];
    await scope.open(
      () => 'bus',
      (resource) => closed.push(resource),
    );
    expect(scope.signal.aborted).toBe(false);
    scope.stopOpening();
    expect(scope.signal.aborted).toBe(true);
    await expect(scope.open(() => 'ledger')).rejects.toThrow();
    expect(closed).toEqual([]);
  });
});
