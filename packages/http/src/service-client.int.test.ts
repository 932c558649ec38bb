import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { serviceApp } from './app.ts';
import { auth } from './auth.ts';
import { createListener, httpService } from './listener.ts';
import { isUnavailable, json } from './problems.ts';
import { ServiceClient, ServiceUnreachable } from './service-client.ts';
import { Closing, deadPort, KEY, recordingLog, startServer, textOf } from './testing.ts';

const closing = new Closing();
afterEach(() => closing.all());

const clientOf = (...baseUrls: string[]) =>
  closing.add(new ServiceClient({ baseUrls, internalKey: KEY, service: 'scheduler', log: recordingLog().log }), (client) =>
    client.close(),
  );
const start = async (handler: RequestListener) => clientOf((await startServer(closing, handler)).url);
const failure = async (asking: Promise<unknown>): Promise<ServiceUnreachable> => {
  const error = await asking.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ServiceUnreachable)) throw new Error('expected ServiceUnreachable', { cause: error });
  return error;
};

describe('a call to another service', () => {
  it('comes with a service principal that every protected route trusts', async () => {
    const { log } = recordingLog();
    const app = serviceApp(log).post('/admin', auth.admin, (c) => json(c, c.get('context').principal.identity));
    const client = await start(createListener(httpService(app), { log, internalKey: KEY }));
    const answer = await client.request({ method: 'POST', path: '/admin', as: 'system:restart-context', body: {} });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } });
    expect(JSON.parse(answer.text)).toEqual({ kind: 'service', service: 'scheduler', as: 'system:restart-context' });
  });

  it('sends JSON, or what it is given', async () => {
    const client = await start(async (req, res) =>
      res.end(`${req.headers['content-type']} ${req.headers['x-timeout']} ${await textOf(req)}`),
    );
    const call = { method: 'POST', path: '/', as: '', headers: { 'x-timeout': '5' } };
    expect((await client.request({ ...call, body: { a: 1 } })).text).toBe('application/json 5 {"a":1}');
    expect((await client.request({ ...call, body: '{ }' })).text).toBe('application/json 5 { }');
    expect((await client.request({ ...call, method: 'GET' })).text).toBe('undefined 5 ');
  });

  it('takes every status for an answer', async () => {
    const client = await start((_, res) => res.writeHead(503).end('busy'));
    expect(await client.request({ method: 'POST', path: '/', as: '' })).toMatchObject({ status: 503, text: 'busy' });
  });

  it('goes to a replica that can be reached', async () => {
    const { url } = await startServer(closing, (_, res) => res.end('here'));
    const client = clientOf(`http://127.0.0.1:${await deadPort()}`, url);
    for (let round = 0; round < 4; round++)
      expect((await client.request({ method: 'POST', path: '/', as: '' })).text).toBe('here');
  });

  it('says that nothing was written when nobody can be reached', async () => {
    const error = await failure(clientOf(`http://127.0.0.1:${await deadPort()}`).request({ method: 'POST', path: '/', as: '' }));
    expect(error).toMatchObject({ written: false, timedOut: false });
    expect(isUnavailable(error)).toBe(true);
  });

  it('says that it may have been heard when the answer breaks off', async () => {
    const client = await start((req) => req.socket.destroy());
    expect(await failure(client.request({ method: 'POST', path: '/', as: '' }))).toMatchObject({
      written: true,
      timedOut: false,
    });
    const half = await start((_, res) => {
      res.writeHead(200, { 'content-length': 100 }).write('half', () => res.destroy());
    });
    expect(await failure(half.request({ method: 'POST', path: '/', as: '' }))).toMatchObject({ written: true, timedOut: false });
  });

  it('ends in time, before or within the answer', async () => {
    const silent = await start(() => {});
    expect(await failure(silent.request({ method: 'POST', path: '/', as: '', timeoutMs: 30 }))).toMatchObject({
      written: true,
      timedOut: true,
    });
    const slow = await start((_, res) => void res.writeHead(200).write('part'));
    expect(await failure(slow.request({ method: 'POST', path: '/', as: '', timeoutMs: 30 }))).toMatchObject({
      written: true,
      timedOut: true,
    });
  });

  it('ends when told to, with the reason it was told', async () => {
    const stopping = new AbortController();
    const aborted = Promise.withResolvers<void>();
    const client = await start((_, res) => {
      res.on('close', () => aborted.resolve());
      stopping.abort(new Error('stopping'));
    });
    await expect(client.request({ method: 'POST', path: '/', as: '', signal: stopping.signal })).rejects.toThrow('stopping');
    await aborted.promise;
    await expect(client.request({ method: 'POST', path: '/', as: '', signal: stopping.signal })).rejects.toThrow('stopping');
  });
});
