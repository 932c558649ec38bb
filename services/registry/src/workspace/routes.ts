/** The workspace resource (spec 1 §1.2–1.5, §1.7). */
import { ask } from '@molecule/bus';
import { ask as asks, Refusal, WorkspaceId } from '@molecule/contracts';
import { auth, body, json, jsonBody, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { adminForThePast, asOfOf, commandOf, orFail, publicUnlessProduction, workspaceIdOf } from '../http.ts';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { connectionBlock, platformUrl } from './connection.ts';
import { awarenessNamespace, create, type NewWorkspace } from './decisions.ts';
import { workspaceDocs } from './docs.ts';
import { invalidPayload, NewWorkspaceBody, parseNewWorkspace } from './new-workspace.ts';
import { presentAmong } from './past.ts';
import { patchWorkspace } from './patch.ts';
import { childrenOf, findWorkspace } from './queries.ts';
import { purge, removeSubtree } from './removal.ts';
import { weigh } from './status.ts';
import { listed, single } from './wire.ts';

/** How long the provisioner may take to say that it has no backend. Silence is not a no: it catches up from its own consumer. */
const BACKEND_TIMEOUT_MS = 500;

export function workspaceRoutes(parts: Parts) {
  const { ledger, fleet, lists, past, lastOutbound, newId, mode, mint } = parts;

  return new Hono<WithContext>()
    .get('/workspaces', workspaceDocs.list, auth.admin, async (c) => {
      const at = asOfOf(c);
      if (at === null) return jsonBody(c, await orFail(c, 'query failed', () => lists.all()));
      const rows = presentAmong(await orFail(c, 'query failed', () => past.all(at)));
      return json(
        c,
        rows.map((row) => listed(row, null)),
      );
    })

    .post('/workspaces', workspaceDocs.create, auth.admin, body(NewWorkspaceBody, invalidPayload), async (c) => {
      const given = c.req.valid('json');
      const wanted = parseNewWorkspace(given);
      const id = WorkspaceId.parse(newId());
      const minted = mint();
      const version = await orFail(c, 'failed to create workspace', () =>
        createWorkspace(parts, c, { id, wanted, given, minted }),
      );
      const { external, url, workspaceAccess } = wanted;
      if (!external) {
        await failWithoutBackend(parts, c, { id, version });
        const namespace = awarenessNamespace(id);
        return json(c, { id, status: 'provisioning', awareness_namespace: namespace, workspace_access: workspaceAccess }, 201);
      }
      await parts.barrier.passed(id, version);
      if (url !== '') return json(c, { id, external: true, status: 'online' }, 201);
      const connection = connectionBlock(id, platformUrl(originOf(parts, c)), minted.plaintext);
      return json(c, { id, external: true, status: 'awaiting_agent', connection }, 201);
    })

    .get('/workspaces/:id', workspaceDocs.read, adminForThePast(publicUnlessProduction(mode)), async (c) => {
      const id = workspaceIdOf(c);
      const at = asOfOf(c);
      const row = await orFail(c, 'query failed', () => (at === null ? findWorkspace(ledger.db, id) : past.one(id, at)));
      if (!row) throw new Refusal('not-found', 'workspace not found');
      if (at !== null) return json(c, single(row, null, null));
      return json(c, single(row, fleet.vitals(id), await lastOutbound.of(id)));
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

interface Creation {
  readonly id: WorkspaceId;
  readonly wanted: NewWorkspace;
  readonly given: NewWorkspaceBody;
  readonly minted: ReturnType<Parts['mint']>;
}

/** Stores the row, its parent held so that it cannot be removed meanwhile (see `removal.ts`, X2). Answers its version. */
const createWorkspace = ({ store, newId }: Parts, c: Context<WithContext>, { id, wanted, given, minted }: Creation) =>
  store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    const facts = create(id, wanted, minted.token)(state);
    const { parentId } = wanted;
    if (parentId !== null) {
      const lock = "select from workspaces where workspace_id = $1 and status <> 'removed' for key share";
      const { rowCount } = await tx.query(lock, [parentId]);
      if (rowCount === 0) throw new Refusal('failed', 'failed to create workspace');
    }
    // There is nowhere to keep a secret yet, and none is silently dropped: the workspace is not created either.
    const [secret] = Object.keys(given.secrets);
    if (secret !== undefined) throw new Refusal('failed', `failed to encrypt secret: ${secret}`);
    const commit = await tx.append(workspace, id, facts, version, commandOf(c, newId));
    committing(commit);
    return commit.version;
  });

/** Where there is nothing that could start a container, the workspace fails before the answer (§1.4). */
async function failWithoutBackend(
  { bus, store, barrier, newId, log }: Parts,
  c: Context<WithContext>,
  { id, version }: { readonly id: WorkspaceId; readonly version: number },
): Promise<void> {
  const backend = await ask(bus, asks.provisioner.backend, {}, { timeoutMs: BACKEND_TIMEOUT_MS }).then(
    (answer) => answer.backend,
    (error: unknown) => {
      log.info({ err: error, workspaceId: id }, 'the provisioner did not say what it starts containers with');
      return 'unknown' as const;
    },
  );
  const failed = backend === 'none' ? await store.change(id, commandOf(c, newId), weigh({ kind: 'no-backend' })) : { version };
  await barrier.passed(id, failed.version);
}

function originOf({ settings }: Parts, c: Context<WithContext>) {
  const incoming = (c.env as { incoming?: { socket: { encrypted?: boolean } } } | undefined)?.incoming;
  return {
    configured: settings.EXTERNAL_PLATFORM_URL,
    forwardedProto: c.req.header('x-forwarded-proto'),
    forwardedHost: c.req.header('x-forwarded-host'),
    host: c.req.header('host'),
    tls: incoming?.socket.encrypted === true,
  };
}
