import { STREAMS, subjects } from '@molecule/contracts';
import { RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { describe, expect } from 'vitest';
import { openBus } from './connection.ts';
import { StreamCannotChange } from './errors.ts';
import { ensureStreams } from './streams.ts';
import { it } from './test-support.ts';

const SECOND = 1e9;

describe('the streams', () => {
  it('are what the design says', async ({ bus }) => {
    const facts = (await bus.jsm.streams.info(STREAMS.facts)).config;
    expect(facts).toMatchObject({
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      num_replicas: 1,
      duplicate_window: 120 * SECOND,
    });
    expect(facts.subjects.toSorted()).toEqual(subjects.everyFact.toSorted());
    expect(facts.max_age).toBeGreaterThan(0);
    expect(facts.max_bytes).toBeGreaterThan(0);
    const beats = (await bus.jsm.streams.info(STREAMS.heartbeats)).config;
    expect(beats).toMatchObject({ storage: StorageType.File, max_msgs_per_subject: 1, max_age: 86_400 * SECOND, no_ack: true });
    expect((await bus.jsm.streams.info(STREAMS.parked)).config).toMatchObject({ storage: StorageType.File });
  });

  it('stay as they are when they are wanted again, by several at once', async ({ bus }) => {
    const before = await bus.jsm.streams.info(STREAMS.facts);
    await Promise.all([ensureStreams(bus), ensureStreams(bus), ensureStreams(bus)]);
    const after = await bus.jsm.streams.info(STREAMS.facts);
    expect(after.config).toEqual(before.config);
    expect(after.created).toBe(before.created);
  });

  it('are made once by services that start together', async ({ nats, log }) => {
    const buses = await Promise.all(['a', 'b', 'c', 'd'].map((name) => openBus({ servers: nats.url, name, log })));
    await Promise.all(buses.map((bus) => ensureStreams(bus)));
    await Promise.all(buses.map((bus) => bus.close()));
  });

  it('of an older configuration are brought up to date in place, with what they hold', async ({ nats, log }) => {
    const bus = await openBus({ servers: nats.url, name: 'test', log });
    await bus.jsm.streams.add({
      name: STREAMS.facts,
      subjects: ['workspace.*.*'],
      max_age: 60 * SECOND,
      duplicate_window: SECOND,
    });
    await bus.jsm.streams.add({ name: STREAMS.heartbeats, subjects: [subjects.everyHeartbeat] });
    await bus.js.publish('workspace.moved.w1', 'kept');
    await ensureStreams(bus, { facts: { maxAgeMs: 3_600_000 } });
    const facts = await bus.jsm.streams.info(STREAMS.facts);
    expect(facts.config.subjects.toSorted()).toEqual(subjects.everyFact.toSorted());
    expect(facts.config).toMatchObject({ max_age: 3_600 * SECOND, duplicate_window: 120 * SECOND });
    expect(facts.state.messages).toBe(1);
    expect((await bus.jsm.streams.info(STREAMS.heartbeats)).config).toMatchObject({ max_msgs_per_subject: 1, no_ack: true });
    await bus.close();
  });

  it('that cannot be brought up to date are refused, naming the field', async ({ nats, log }) => {
    const bus = await openBus({ servers: nats.url, name: 'test', log });
    await bus.jsm.streams.add({ name: STREAMS.facts, subjects: subjects.everyFact, storage: StorageType.Memory });
    const refused = ensureStreams(bus);
    await expect(refused).rejects.toThrow(StreamCannotChange);
    await expect(refused).rejects.toThrow('stream FACTS exists and cannot change storage from "memory" to "file"');
    await bus.close();
  });

  it('name the fields that the server itself refuses to change', async ({ nats, log }) => {
    const bus = await openBus({ servers: nats.url, name: 'test', log });
    await bus.jsm.streams.add({ name: STREAMS.facts, subjects: ['workspace.*.*'] });
    await bus.jsm.streams.add({ name: 'THEIRS', subjects: ['a2a.*.*'] });
    await expect(ensureStreams(bus)).rejects.toThrow(/stream FACTS exists and cannot change .*subjects from .*: .*overlap/);
    await bus.close();
  });
});
