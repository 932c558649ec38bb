/** What runs for nobody is reaped; on what is not known, nothing is done (I8, spec 3 §3.5). */
import { ask } from '@molecule/bus';
import { ask as asks, id12, type ManagedResource } from '@molecule/contracts';
import { removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { GRACE_MS, INSTALLATION, it, type World } from '../testing/world.ts';

const STRANGER = '0b6c2f53-6d5';
const resource = (prefix: string, change: Partial<ManagedResource> = {}): ManagedResource => ({
  prefix,
  running: true,
  installation: INSTALLATION,
  createdAt: null,
  ...change,
});
/** Made longer ago than any grace. */
const old = ({ around }: World, prefix: string): ManagedResource =>
  resource(prefix, { createdAt: new Date(around.clock.now().getTime() - 2 * GRACE_MS).toISOString() });

describe('what runs for nobody', () => {
  it('is found and reaped, and nothing else is', async ({ world, bus }) => {
    const { registry } = world.around;
    const [live, gone] = [await registry.create(), await registry.create()];
    await registry.say(gone, removed);
    const others = [
      old(world, id12(live)),
      { ...old(world, 'aaaaaaaaaaaa'), installation: 'theirs' },
      old(world, 'monorepo'),
      resource('bbbbbbbbbbbb', { createdAt: world.around.clock.now().toISOString() }),
    ];
    const bare = { ...old(world, STRANGER), installation: null };
    world.provisioner.resources = [...others, bare, resource(id12(gone), { running: false })];
    const sweeper = await world.sweeper();
    await world.around.toldTimes('orphan.reaped', 2);
    await world.looked('orphan-sweeper', sweeper);
    expect(world.provisioner.reaped.toSorted()).toEqual([STRANGER, id12(gone)].toSorted());
    expect(world.provisioner.resources).toEqual(others);
    expect((await world.log()).toSorted()).toEqual(['orphan.found', 'orphan.found', 'orphan.reaped', 'orphan.reaped']);
    const found = { backend: 'docker', volumeRemoved: true };
    const byCause = Object.fromEntries(world.around.told('orphan.reaped').map(({ data }) => [data.cause, data]));
    expect(byCause).toEqual({
      'no-row': {
        ...found,
        cause: 'no-row',
        prefix: STRANGER,
        evidence: `no workspace has this id; running, made ${bare.createdAt}`,
      },
      'removed-row': {
        ...found,
        cause: 'removed-row',
        prefix: id12(gone),
        evidence: 'its workspace is removed; stopped, made at an unknown time',
      },
    });

    const listed = (await world.findings(sweeper)).json as { kind: string; about: string }[];
    expect(listed.map(({ kind, about }) => `${kind} ${about}`).toSorted()).toEqual(
      [STRANGER, id12(gone)].flatMap((about) => [`orphan.found ${about}`, `orphan.reaped ${about}`]).toSorted(),
    );
    const { projections } = await ask(bus, asks.rebuild.sweeper, { check: true });
    expect(projections).toMatchObject([{ table: 'finding_list', rows: 4, missing: 0, unexpected: 0 }]);
  });

  it('has its grace from when it was first seen, when nobody knows its age', async ({ world }) => {
    world.provisioner.resources = [resource(STRANGER)];
    const sweeper = await world.sweeper();
    await world.looked('orphan-sweeper', sweeper);
    world.around.clock.advance(GRACE_MS - 1_000);
    await world.looked('orphan-sweeper', sweeper);
    expect(world.provisioner.reaped).toEqual([]);
    world.around.clock.advance(1_000);
    await world.looked('orphan-sweeper', sweeper);
    expect(world.provisioner.reaped).toEqual([STRANGER]);
  });

  it('is left alone when the registry fails to say whose it is', async ({ world }) => {
    world.provisioner.resources = [old(world, STRANGER)];
    world.around.registry.failing.add('rows');
    await world.sweeper();
    await waitFor(() => world.around.registry.asked.rows >= 2, { what: 'the registry to be asked again' });
    expect(world.provisioner.reaped).toEqual([]);
    expect(await world.log()).toEqual([]);
    world.around.registry.failing.delete('rows');
    await world.around.toldTimes('orphan.reaped', 1);
    expect(world.provisioner.reaped).toEqual([STRANGER]);
  });

  it('is left alone when the engine fails to say what there is', async ({ world }) => {
    world.provisioner.resources = [old(world, STRANGER)];
    world.provisioner.failing = true;
    await world.sweeper();
    await waitFor(() => world.provisioner.listed >= 2, { what: 'the engine to be asked again' });
    expect(world.around.registry.asked.rows).toBe(0);
    expect(world.provisioner.reaped).toEqual([]);
    expect(await world.log()).toEqual([]);
  });

  it('is left alone when nobody answers for the registry, and when there is no backend', async ({ world }) => {
    world.provisioner.resources = [old(world, STRANGER)];
    world.provisioner.backend = 'none';
    const sweeper = await world.sweeper();
    await world.looked('orphan-sweeper', sweeper);
    expect(world.provisioner.listed).toBe(0);
    await world.around.registry.stop();
    world.provisioner.backend = 'docker';
    await waitFor(() => world.provisioner.listed >= 2, { what: 'the engine to be asked again' });
    expect(world.provisioner.reaped).toEqual([]);
    expect(await world.log()).toEqual([]);
  });

  it('is tried again until it is stopped, and said once', async ({ world }) => {
    world.provisioner.resources = [old(world, STRANGER)];
    world.provisioner.outcome = 'failed';
    const first = await world.sweeper();
    await waitFor(() => world.provisioner.reaped.length >= 2, { what: 'a second attempt' });
    await first.close();
    expect(await world.log()).toEqual(['orphan.found']);
    world.around.clock.advance(1_000);
    await world.sweeper(); // it has seen nothing yet
    const tried = world.provisioner.reaped.length;
    await waitFor(() => world.provisioner.reaped.length >= tried + 2, { what: 'another attempt' });
    world.provisioner.outcome = 'stopped';
    await world.around.toldTimes('orphan.reaped', 1);
    expect(await world.log()).toEqual(['orphan.found', 'orphan.reaped']);
  });

  it.for(['known', 'unknown'])(
    'is said once by two replicas that saw it at different times, when its age is %s',
    async (age, { world }) => {
      world.provisioner.resources = [age === 'known' ? old(world, STRANGER) : resource(STRANGER)];
      world.provisioner.outcome = 'failed';
      const first = await world.sweeper();
      await world.looked('orphan-sweeper', first);
      world.around.clock.advance(1_000);
      const second = await world.sweeper();
      await world.looked('orphan-sweeper', second);
      world.around.clock.advance(GRACE_MS + 1_000);
      await world.looked('orphan-sweeper', first, second);
      world.provisioner.outcome = 'stopped';
      await world.around.toldTimes('orphan.reaped', 1);
      await world.looked('orphan-sweeper', first, second);
      expect(await world.log()).toEqual(['orphan.found', 'orphan.reaped']);
    },
  );
});
