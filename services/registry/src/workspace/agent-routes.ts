/** What agents ask the registry (spec 1 §3.2, §3.5–3.7). Their beats come over the bus. */
import { id12, Json, Refusal, WorkspaceId } from '@molecule/contracts';
import { canCommunicate } from '@molecule/directory';
import { body, json, jsonBody, problem, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { adminForThePast, asOfOf, commandOf, discovery, knownInProduction, orFail, presentedAs, registryToken } from '../http.ts';
import type { Parts } from '../parts.ts';
import { register, updateCard } from './decisions.ts';
import { agentDocs } from './docs.ts';
import { isWanted } from './lists.ts';
import { peersAmong } from './past.ts';
import { findWorkspace, lineageOf, type WorkspaceRow } from './queries.ts';
import { peer } from './wire.ts';

/** A card travels in facts and events, which stay small (D10). */
const MAX_CARD_BYTES = 40 * 1024;
const AgentCard = Json.refine((card) => Buffer.byteLength(JSON.stringify(card)) <= MAX_CARD_BYTES);

const Registration = z.object({ id: z.string().min(1), url: z.string().min(1).max(2_048), agent_card: AgentCard });
const CardUpdate = z.object({ workspace_id: z.string().min(1), agent_card: AgentCard });
const AccessQuestion = z.object({ caller_id: z.string().min(1), target_id: z.string().min(1) });

export function agentRoutes(parts: Parts) {
  const { ledger, store, lists, barrier, guard, mint, newId, mode } = parts;
  const openByState = mode !== 'production';
  const askedByCaller = discovery(parts, (c) => callerOf(c) ?? new Refusal('invalid', 'X-Workspace-ID header is required'));
  const askedByItself = discovery(parts, (c) => c.req.param('id') ?? '');

  return new Hono<WithContext>()
    .post('/registry/register', agentDocs.register, registryToken, body(Registration, problem.invalidRequestBody), async (c) => {
      const { id: said, url, agent_card: agentCard } = c.req.valid('json');
      const checked = await guard.check(url, 'register');
      const known = WorkspaceId.safeParse(said);
      if (!known.success) throw checked.ok ? new Refusal('failed', 'registration failed') : problem.invalidRequestBody();
      const id = known.data;
      const presented = presentedAs(c.get('context').principal, id);
      const dialable = checked.ok || (await guard.check(url, 'dispatch')).ok;
      const { plaintext, token } = mint();
      const { version, facts } = await orFail(c, 'registration failed', () =>
        store.change(
          id,
          commandOf(c, newId),
          register(id, { url, urlAllowed: checked.ok, dialable, agentCard, presented, token, openByState }),
        ),
      );
      await barrier.passed(id, version);
      const issued = facts.some((fact) => fact.type === 'token.issued');
      return json(c, { status: 'registered', ...(issued && { auth_token: plaintext }) });
    })

    .post(
      '/registry/update-card',
      agentDocs.updateCard,
      registryToken,
      body(CardUpdate, problem.invalidRequestBody),
      async (c) => {
        const { workspace_id, agent_card: agentCard } = c.req.valid('json');
        const id = WorkspaceId.safeParse(workspace_id);
        if (id.success) {
          const presented = presentedAs(c.get('context').principal, id.data);
          const { version } = await orFail(c, 'failed to update card', () =>
            store.change(id.data, commandOf(c, newId), updateCard(agentCard, presented, openByState)),
          );
          await barrier.passed(id.data, version);
        }
        return json(c, { status: 'updated' });
      },
    )

    .post(
      '/registry/check-access',
      agentDocs.checkAccess,
      knownInProduction(mode),
      body(AccessQuestion, problem.invalidRequestBody),
      async (c) => {
        const { caller_id, target_id } = c.req.valid('json');
        return json(c, { allowed: await mayTalk(parts, caller_id, target_id) });
      },
    )

    .get('/registry/discover/:id', agentDocs.discover, askedByCaller, async (c) => {
      const caller = callerOf(c) ?? '';
      const id = c.req.param('id').toLowerCase();
      if (!(await mayTalk(parts, caller, id))) throw new Refusal('forbidden', 'not authorized to discover this workspace');
      const target = await findWorkspace(ledger.db, id);
      if (!target) throw problem.workspaceNotFound();
      return json(c, { id: target.workspace_id, url: await peerUrl(parts, caller, target), name: target.name });
    })

    .get('/registry/:id/peers', agentDocs.peers, adminForThePast(askedByItself), async (c) => {
      const wanted = (c.req.query('q') ?? '').trim().toLowerCase();
      const at = asOfOf(c);
      if (at !== null) return json(c, await orFail(c, 'lookup failed', () => peersThen(parts, c.req.param('id'), at, wanted)));
      const peers = await orFail(c, 'lookup failed', async () => {
        const row = await findWorkspace(ledger.db, c.req.param('id'));
        if (!row) throw problem.workspaceNotFound();
        return lists.peers(row, wanted);
      });
      return jsonBody(c, peers);
    });
}

/** Those it could have turned to at a time, as the wire shows them. */
async function peersThen({ past }: Pick<Parts, 'past'>, id: string, at: Date, wanted: string) {
  const rows = await past.all(at);
  const row = rows.find(({ workspace_id }) => workspace_id === id.toLowerCase());
  if (!row) throw problem.workspaceNotFound();
  return peersAmong(rows, row)
    .filter((other) => isWanted(other, wanted))
    .map((other) => peer(other, null));
}

const callerOf = (c: Context<WithContext>): string | undefined => {
  const caller = c.req.header('x-workspace-id')?.trim().toLowerCase();
  return caller === '' ? undefined : caller;
};

/** §5. Oneself needs no look-up, even if nobody knows one. */
async function mayTalk({ ledger }: Pick<Parts, 'ledger'>, caller: string, target: string): Promise<boolean> {
  const [from, to] = [caller.toLowerCase(), target.toLowerCase()];
  if (from === to) return true;
  const lineage = await lineageOf(ledger.db, [from, to]);
  return canCommunicate((id) => lineage.get(id), from, to);
}

/** Where a peer finds the target (§3.7 step 4). Throws the 503 of the wire when it is nowhere now. */
async function peerUrl(
  { ledger, guard }: Pick<Parts, 'ledger' | 'guard'>,
  caller: string,
  target: WorkspaceRow,
): Promise<string> {
  if (target.runtime === 'external' && target.url !== '' && target.status !== 'removed') {
    const from = await findWorkspace(ledger.db, caller);
    const url = from?.runtime === 'external' ? target.url : fromInsideContainer(target.url);
    const { ok } = await guard.check(url, 'dispatch');
    if (!ok) throw new Refusal('unavailable', 'workspace URL failed safety check');
    return url;
  }
  if (target.status !== 'online' && target.status !== 'degraded') {
    throw new Refusal('unavailable', 'workspace not available', { body: { status: target.status } });
  }
  return target.internal_url !== '' ? target.internal_url : `http://ws-${id12(target.workspace_id)}:8000`;
}

/** The host's loopback, as a container names it. */
const fromInsideContainer = (url: string): string =>
  url.replace('127.0.0.1', 'host.docker.internal').replace('localhost', 'host.docker.internal');
