/** The workspace resource (spec 1 §1.2–1.5, §1.7). */
import { Refusal, WorkspaceId } from '@molecule/contracts';
import { auth, body, json, jsonBody, originOf, platformUrl, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';
import { adminForThePast, asOfOf, commandOf, orFail, publicUnlessProduction, workspaceIdOf } from '../http.ts';
import type { Parts } from '../parts.ts';
import { connectionBlock } from './connection.ts';
import { createWorkspace, failWithoutBackend, templateSays } from './creation.ts';
import { awarenessNamespace } from './decisions.ts';
import { workspaceDocs } from './docs.ts';
import { invalidPayload, NewWorkspaceBody, parseNewWorkspace } from './new-workspace.ts';
import { presentAmong } from './past.ts';
import { patchWorkspace } from './patch.ts';
import { childrenOf, findWorkspace } from './queries.ts';
import { purge, removeSubtree } from './removal.ts';
import { listed, single } from './wire.ts';

export function workspaceRoutes(parts: Parts) {
  const { ledger, fleet, lists, past, templates, lastOutbound, newId, mode, mint } = parts;

  return new Hono<WithContext>()
    .get('/workspaces', workspaceDocs.list, auth.admin, async (c) => {
      const at = asOfOf(c);
      if (at === null) return jsonBody(c, await orFail(c, 'query failed', () => lists.all()));
      const rows = presentAmong(await orFail(c, 'query failed', () => past.all(at)));
      const timeouts = await templates.provisionTimeouts();
      return json(
        c,
        rows.map((row) => listed(row, null, timeouts)),
      );
    })

    .post('/workspaces', workspaceDocs.create, auth.admin, body(NewWorkspaceBody, invalidPayload), async (c) => {
      const failure = 'failed to create workspace';
      const given = c.req.valid('json');
      const says = await orFail(c, failure, () => templateSays(parts, given.template));
      const wanted = parseNewWorkspace(given, says);
      const id = WorkspaceId.parse(newId());
      const minted = mint();
      const creation = { id, wanted, given, minted };
      const version = await orFail(c, failure, () => createWorkspace(parts, creation, commandOf(c, newId)));
      const { external, url, workspaceAccess } = wanted;
      if (!external) {
        await failWithoutBackend(parts, [{ id, version, wanted }], () => commandOf(c, newId));
        const namespace = awarenessNamespace(id);
        return json(c, { id, status: 'provisioning', awareness_namespace: namespace, workspace_access: workspaceAccess }, 201);
      }
      await parts.barrier.passed(id, version);
      if (url !== '') return json(c, { id, external: true, status: 'online' }, 201);
      const connection = connectionBlock(id, platformUrl(originOf(c, parts.settings.EXTERNAL_PLATFORM_URL)), minted.plaintext);
      return json(c, { id, external: true, status: 'awaiting_agent', connection }, 201);
    })

    .get('/workspaces/:id', workspaceDocs.read, adminForThePast(publicUnlessProduction(mode)), async (c) => {
      const id = workspaceIdOf(c);
      const at = asOfOf(c);
      const row = await orFail(c, 'query failed', () => (at === null ? findWorkspace(ledger.db, id) : past.one(id, at)));
      if (!row) throw new Refusal('not-found', 'workspace not found');
      const timeouts = await templates.provisionTimeouts();
      if (at !== null) return json(c, single(row, { vitals: null, timeouts, lastOutboundAt: null }));
      return json(c, single(row, { vitals: fleet.vitals(id), timeouts, lastOutboundAt: await lastOutbound.of(id) }));
    })

    .patch(
      '/workspaces/:id',
      workspaceDocs.patch,
      auth.workspace,
      async (c, next) => {
        workspaceIdOf(c);
        await next();
      },
      body(z.record(z.string(), z.unknown()), () => new Refusal('invalid', 'invalid request body')),
      async (c) => {
        const needsRestart = await patchWorkspace(parts, workspaceIdOf(c), c.req.valid('json'), commandOf(c, newId));
        return json(c, { status: 'updated', ...(needsRestart && { needs_restart: true }) });
      },
    )

    .delete('/workspaces/:id', workspaceDocs.remove, auth.admin, async (c) => {
      const id = workspaceIdOf(c);
      const children = await orFail(c, 'failed to check children', () => childrenOf(ledger.db, id));
      if (children.length > 0 && c.req.query('confirm') !== 'true') return json(c, confirmation(children), 409);
      const { cascadeDeleted, ids } = await removeSubtree(parts, id, commandOf(c, newId).commandId);
      if (c.req.query('purge') !== 'true') return json(c, { status: 'removed', cascade_deleted: cascadeDeleted });
      await orFail(c, 'purge failed', () => purge(parts, ids, commandOf(c, newId).commandId));
      return json(c, { status: 'purged', cascade_deleted: cascadeDeleted });
    });
}

const confirmation = (children: readonly { readonly id: string; readonly name: string }[]) => ({
  status: 'confirmation_required',
  message: 'This workspace has sub-workspaces. Delete with ?confirm=true to cascade delete.',
  children,
  children_count: children.length,
});
