/** What the machine of a workspace has printed (spec 1 §1.11). Only a control plane keeps that, and none starts our runtimes yet. */
import { auth, doc, json, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';

const UNAVAILABLE = 'console output unavailable on this deployment (no control plane)';

export const consoleRoutes = () =>
  new Hono<WithContext>().get(
    '/workspaces/:id/console',
    doc({
      summary: 'Read what the machine of a workspace has printed',
      source: 'spec 1 §1.11',
      answers: {
        501: { description: 'No control plane starts the runtimes here', body: z.object({ error: z.literal(UNAVAILABLE) }) },
      },
    }),
    auth.admin,
    (c) => json(c, { error: UNAVAILABLE }, 501),
  );
