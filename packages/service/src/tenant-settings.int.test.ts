/** T1–T3: what a control plane says is laid over the environment, and nothing depends on it. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLog } from './log.ts';
import { withTenantSettings } from './tenant-settings.ts';

const asked: unknown[] = [];

async function controlPlane(answer: RequestListener): Promise<string> {
  asked.length = 0;
  const server = createServer((request, response) => {
    const { authorization, 'x-molecule-org-id': orgId } = request.headers;
    asked.push({ url: request.url, authorization, orgId });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json =
  (value: unknown): RequestListener =>
  (_, response) =>
    response.end(JSON.stringify(value));

/** What is read in the end, and what was said of it. */
async function started(given: NodeJS.ProcessEnv) {
  const { env, tell } = await withTenantSettings(given, { timeoutMs: 500 });
  const lines: string[] = [];
  tell(createLog({ level: 'info', destination: { write: (line: string) => void lines.push(line) } }));
  return { env, said: lines.join('') };
}

const tenant = { MOLECULE_ORG_ID: 'acme', ADMIN_TOKEN: 'root', RATE_LIMIT: '5' };

describe('settings of a control plane', () => {
  it('win over the environment, but for values that are too long; their names are logged alone', async () => {
    const url = await controlPlane(json({ RATE_LIMIT: '900', EXTRA: 'hush', LONG: 'x'.repeat(4097), LIMIT: 'x'.repeat(4096) }));
    const given = { ...tenant, MOLECULE_CP_URL: url };
    const { env, said } = await started(given);
    expect(env).toEqual({ ...given, RATE_LIMIT: '900', EXTRA: 'hush', LIMIT: 'x'.repeat(4096) });
    expect(asked).toEqual([{ url: '/cp/tenants/config', authorization: 'Bearer root', orgId: 'acme' }]);
    expect(said).toContain('"names":["RATE_LIMIT","EXTRA","LIMIT"]');
    expect(said).not.toContain('hush');
  });

  it.each<[string, RequestListener]>([
    ['refuses', (_, response) => response.writeHead(403).end('{"EXTRA":"x"}')],
    ['sends us elsewhere', (_, response) => response.writeHead(302, { location: '/cp/elsewhere' }).end()],
    ['says no map', json(['EXTRA'])],
    ['says a map of something else', json({ EXTRA: 1 })],
    ['names no variable', json({ 'EX TRA': 'x' })],
    ['says nothing that can be read', (_, response) => response.end('<html>')],
    ['does not stop', json({ EXTRA: 'x', MORE: 'x'.repeat(70_000) })],
    ['breaks off', (request) => request.socket.destroy()],
    ['is silent', () => undefined],
  ])('change nothing when it %s, and that is told', async (_, answer) => {
    const given = { ...tenant, MOLECULE_CP_URL: await controlPlane(answer) };
    const { env, said } = await started(given);
    expect(env).toEqual(given);
    expect(said).toContain('starting without');
    expect(said).not.toContain('root');
  });

  it.each([
    { MOLECULE_ORG_ID: '', ADMIN_TOKEN: 'root' },
    { MOLECULE_ORG_ID: 'acme', ADMIN_TOKEN: '' },
    { ADMIN_TOKEN: 'root' },
    {},
  ])('are not asked for with %j', async (given) => {
    const url = await controlPlane(json({ EXTRA: 'x' }));
    const env = { ...given, MOLECULE_CP_URL: url };
    expect(await started(env)).toEqual({ env, said: '' });
    expect(asked).toEqual([]);
  });
});
