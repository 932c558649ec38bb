import { defineRpc, Refusal, type RpcContract } from '@molecule/contracts';
import { describe, expect } from 'vitest';
import { z } from 'zod';
import { ask } from './ask.ts';
import { openBus } from './connection.ts';
import { AskNoResponder, AskRefused, AskTimeout, isBusUnavailable } from './errors.ts';
import { RequestServer } from './requests.ts';
import { it } from './test-support.ts';

const double = defineRpc({
  subject: 'ask.registry.double',
  input: z.object({ n: z.number().int() }),
  output: z.object({ n: z.number().int() }),
});
/** The same subject, as a careless caller or server would have it. */
const loose = { ...double, input: z.any(), output: z.any() } as unknown as RpcContract<z.ZodAny, z.ZodAny>;

describe('asking a service', () => {
  it('answers with what the handler yields', async ({ bus, log }) => {
    new RequestServer(bus, 'registry', log).serve(double, ({ n }) => ({ n: 2 * n }));
    expect(await ask(bus, double, { n: 21 })).toEqual({ n: 42 });
  });

  it('fails at once when nobody is there to answer', async ({ bus }) => {
    const began = performance.now();
    const error = await ask(bus, double, { n: 1 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AskNoResponder);
    expect(isBusUnavailable(error)).toBe(true);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('waits no longer than it was told', async ({ bus, log }) => {
    new RequestServer(bus, 'registry', log).serve(double, () => new Promise<{ n: number }>(() => {}));
    const error = await ask(bus, double, { n: 1 }, { timeoutMs: 50 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AskTimeout);
    expect(error).toMatchObject({ message: 'no answer to ask.registry.double within 50 ms' });
    expect(isBusUnavailable(error)).toBe(true);
  });

  it('does not wait for ever while NATS is away', async ({ nats, bus }) => {
    await nats.kill();
    const error = await ask(bus, double, { n: 1 }, { timeoutMs: 100 }).catch((caught: unknown) => caught);
    expect(isBusUnavailable(error)).toBe(true);
  });

  it('R1: refuses what does not fit, on the side of the caller and of the server', async ({ bus, log }) => {
    let handled = 0;
    new RequestServer(bus, 'registry', log).serve(double, ({ n }) => ({ n: n + ++handled }));
    await expect(ask(bus, double, { n: 1.5 })).rejects.toThrow(AskRefused);
    await expect(ask(bus, loose, { n: 'one' })).rejects.toThrow(/the request does not fit ask\.registry\.double/);
    expect(JSON.parse((await bus.nats.request(double.subject, 'not json')).string())).toHaveProperty('failed');
    expect(handled).toBe(0);
  });

  it('R1: hands a refusal on as what it is', async ({ bus, log }) => {
    new RequestServer(bus, 'registry', log).serve(double, () => {
      throw new Refusal('too-many', 'maximum 50 active tokens per workspace', {
        body: { limit: 50 },
        headers: { 'Retry-After': '30' },
      });
    });
    const error = await ask(bus, double, { n: 1 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Refusal);
    expect(error).toMatchObject({
      kind: 'too-many',
      message: 'maximum 50 active tokens per workspace',
      body: { limit: 50 },
      headers: { 'Retry-After': '30' },
    });
  });

  it('R1, I10: says that it failed, and nothing from inside, when the handler has a defect', async ({ bus, log, lines }) => {
    new RequestServer(bus, 'registry', log).serve(double, () => {
      throw new TypeError('password is hunter2');
    });
    const error = await ask(bus, double, { n: 1 }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AskRefused);
    expect(error).toMatchObject({ message: 'ask.registry.double failed' });
    expect(lines.saying('a request failed')).toHaveLength(1);
  });

  it('R1: does not hand on an answer that breaks the contract', async ({ bus, log, lines }) => {
    new RequestServer(bus, 'registry', log).serve(loose, () => ({ n: 'many' }));
    await expect(ask(bus, double, { n: 1 })).rejects.toThrow(/the answer does not fit/);
    const careless = { ...double, subject: 'ask.registry.careless' } as const;
    new RequestServer(bus, 'registry', log).serve(careless, () => ({ n: 0.5 }));
    await expect(ask(bus, careless, { n: 1 })).rejects.toThrow('ask.registry.careless failed');
    expect(lines.saying('an answer does not fit its contract')).toHaveLength(1);
  });

  it('R2: is answered once, by one of the replicas', async ({ nats, bus, log }) => {
    const other = await openBus({ servers: nats.url, name: 'other', log });
    let handled = 0;
    for (const replica of [bus, other])
      new RequestServer(replica, 'registry', log).serve(double, ({ n }) => {
        handled++;
        return { n };
      });
    await Promise.all([bus.nats.flush(), other.nats.flush()]);
    await Promise.all(Array.from({ length: 50 }, (_, n) => ask(bus, double, { n })));
    expect(handled).toBe(50);
    await other.close();
  });

  it('R3: is turned away when too much is being answered', async ({ bus, log }) => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    new RequestServer(bus, 'registry', log).serve(double, async ({ n }) => {
      await held;
      return { n };
    });
    const asked = Array.from({ length: 520 }, (_, n) =>
      ask(bus, double, { n }, { timeoutMs: 10_000 }).catch((error: unknown) => error),
    );
    await expect.poll(() => bus.counts.requestsShed).toBe(8);
    release();
    const answers = await Promise.all(asked);
    expect(answers.filter((answer) => answer instanceof Refusal && answer.kind === 'unavailable')).toHaveLength(8);
    expect(answers.filter((answer) => !(answer instanceof Error))).toHaveLength(512);
  });

  it('is answered while the server drains, and not after', async ({ bus, log }) => {
    const server = new RequestServer(bus, 'registry', log);
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let begun = 0;
    server.serve(double, async ({ n }) => {
      begun++;
      await held;
      return { n };
    });
    const asked = ask(bus, double, { n: 1 });
    await expect.poll(() => begun).toBe(1);
    const drained = server.drain();
    release();
    expect(await asked).toEqual({ n: 1 });
    await drained;
    await expect(ask(bus, double, { n: 1 })).rejects.toThrow(AskNoResponder);
  });
});
