/** Starts, stops and puts to sleep (spec 1 §1.8). Each is carried through whether or not the client waits for it. */
import { Refusal, type WorkspaceId } from '@molecule/contracts';
import { auth, BodyError, doc, json, parseBody, type RouteDoc, readBody, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { commandOf, namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { putToSleep } from './hibernation.ts';
import { restartWorkspace } from './starts.ts';
import { pauseSubtree, resumeSubtree } from './subtree.ts';

const RestartBody = z.object({
  template: z.string().nullish(),
  apply_template: z.boolean().nullish(),
  reset: z.boolean().nullish(),
  rebuild_config: z.boolean().nullish(),
});

const NOT_FOUND = 'workspace not found';
const NOT_PAUSABLE = 'workspace not found or already paused';
const NOT_RESUMABLE = 'workspace not found or not paused';
const NOT_HIBERNATABLE = 'workspace not found or not in a hibernatable state (must be online or degraded)';
const PARENT_PAUSED = 'parent workspace "<name>" is paused — resume it first';
const NO_PROVISIONER = 'provisioner not available';
const LOOKUP_FAILED = 'lookup failed';

const REFUSALS = {
  notFound: (text: string) => ['not-found', text] as const,
  lookup: ['failed', LOOKUP_FAILED] as const,
  parent: ['conflict', PARENT_PAUSED] as const,
  provisioner: ['unavailable', NO_PROVISIONER] as const,
};

const RESTART: RouteDoc = {
  summary: 'Restart a workspace, whatever it is doing',
  description:
    'A malformed body is ignored. Without `template`, `apply_template` or `rebuild_config` the configuration stays as its user made it. An external workspace is never started: it waits for its agent.',
  source: 'spec 1 §1.8',
  body: RestartBody,
  query: z.object({ reset: z.enum(['true']).optional() }),
  answers: {
    200: {
      description: 'It is being started',
      body: z.object({ status: z.literal('provisioning'), config_dir: z.string(), reset_session: z.boolean() }),
    },
  },
  refusals: [REFUSALS.notFound(NOT_FOUND), REFUSALS.lookup, REFUSALS.parent, REFUSALS.provisioner],
};

const PAUSE: RouteDoc = {
  summary: 'Pause a workspace and what is below it',
  description: 'Volumes are kept. Nothing starts it again but a resume, a restart, or its agent registering.',
  source: 'spec 1 §1.8',
  answers: {
    200: { description: 'Paused', body: z.object({ status: z.literal('paused'), paused_count: z.number().int() }) },
  },
  refusals: [REFUSALS.notFound(NOT_PAUSABLE), REFUSALS.lookup],
};

const RESUME: RouteDoc = {
  summary: 'Resume a paused workspace and the paused ones below it',
  source: 'spec 1 §1.8',
  answers: {
    200: {
      description: 'They are being started',
      body: z.object({ status: z.literal('provisioning'), resumed_count: z.number().int() }),
    },
  },
  refusals: [REFUSALS.notFound(NOT_RESUMABLE), REFUSALS.lookup, REFUSALS.provisioner, REFUSALS.parent],
};

const HIBERNATE: RouteDoc = {
  summary: 'Put a workspace to sleep until a message comes for it',
  source: 'spec 1 §1.8',
  query: z.object({ force: z.enum(['true']).optional() }),
  answers: { 200: { description: 'It sleeps', body: z.object({ status: z.literal('hibernated') }) } },
  refusals: [
    REFUSALS.notFound(NOT_HIBERNATABLE),
    REFUSALS.lookup,
    ['conflict', 'workspace has active tasks; use ?force=true to terminate them', { active_tasks: 2 }],
  ],
};

export function lifecycleRoutes(parts: Parts) {
  const { newId } = parts;
  const meta = (c: Context<WithContext>) => commandOf(c, newId);

  return new Hono<WithContext>()
    .post('/workspaces/:id/restart', doc(RESTART), auth.workspace, async (c) => {
      const id = idOf(c, NOT_FOUND);
      const given = await bodyOf(c);
      const resetSession = c.req.query('reset') === 'true' || given.reset === true;
      const label = await orFail(c, LOOKUP_FAILED, () =>
        restartWorkspace(
          parts,
          id,
          {
            resetSession,
            wish: {
              template: given.template ?? '',
              applyTemplate: given.apply_template === true,
              rebuildConfig: given.rebuild_config === true,
            },
          },
          meta(c),
        ),
      );
      return json(c, { status: 'provisioning', config_dir: label, reset_session: resetSession });
    })

    .post('/workspaces/:id/pause', doc(PAUSE), auth.workspace, async (c) => {
      const id = idOf(c, NOT_PAUSABLE);
      const paused = await orFail(c, LOOKUP_FAILED, () => pauseSubtree(parts, id, meta(c)));
      return json(c, { status: 'paused', paused_count: paused });
    })

    .post('/workspaces/:id/resume', doc(RESUME), auth.workspace, async (c) => {
      const id = idOf(c, NOT_RESUMABLE);
      const resumed = await orFail(c, LOOKUP_FAILED, () => resumeSubtree(parts, id, meta(c)));
      return json(c, { status: 'provisioning', resumed_count: resumed });
    })

    .post('/workspaces/:id/hibernate', doc(HIBERNATE), auth.workspace, async (c) => {
      const id = idOf(c, NOT_HIBERNATABLE);
      const force = c.req.query('force') === 'true';
      await orFail(c, LOOKUP_FAILED, () => putToSleep(parts, id, { force, meta: meta(c) }));
      return json(c, { status: 'hibernated' });
    });
}

/** What is no id names nothing (§0). */
function idOf(c: Context<WithContext>, otherwise: string): WorkspaceId {
  const id = namedWorkspace(c);
  if (id === null) throw new Refusal('not-found', otherwise);
  return id;
}

/** What cannot be read or understood counts as nothing wished for (§1.8). */
async function bodyOf(c: Context<WithContext>): Promise<z.output<typeof RestartBody>> {
  const incoming = (c.env as { incoming?: Parameters<typeof readBody>[0] } | undefined)?.incoming;
  if (incoming === undefined) return {};
  try {
    const parsed = parseBody(RestartBody, await readBody(incoming));
    return parsed.ok ? parsed.value : {};
  } catch (error) {
    if (error instanceof BodyError) return {};
    throw error;
  }
}
