import { type Identity, principalOf, type RequestContext } from '@molecule/contracts';
import { serviceApp } from '@molecule/http';
import { testLog } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { consoleRoutes } from './routes.ts';

const app = serviceApp(testLog()).route('/', consoleRoutes());
const read = async (identity: Identity) => {
  const context: RequestContext = { principal: principalOf(identity), peer: '', requestId: 'r', beats: null };
  const response = await app.request('/workspaces/w/console', {}, { context });
  return [response.status, await response.text()];
};

describe('GET /workspaces/:id/console', () => {
  it('says to operators that nobody keeps it here', async () => {
    expect(await read({ kind: 'admin' })).toEqual([
      501,
      '{"error":"console output unavailable on this deployment (no control plane)"}',
    ]);
  });

  it('says nothing to anybody else', async () => {
    expect(await read({ kind: 'anonymous' })).toEqual([401, '{"error":"admin auth required"}']);
    expect(await read({ kind: 'workspace', workspaceId: 'w', tokenId: 't' })).toEqual([
      401,
      '{"error":"invalid admin auth token"}',
    ]);
  });
});
