/** What each auth class means to a caller (spec 1 §4): who gets in, what they show, and how the others are told. One table for all documents. */
import { Refusal } from '@molecule/contracts';
import { problem } from '@molecule/http';

/** What a caller can show; each is a security scheme of the OpenAPI document. */
export type Credential = 'adminToken' | 'orgToken' | 'workspaceToken' | 'session';

export interface AuthClass {
  /** Who gets in, in one or two sentences. */
  readonly who: string;
  readonly credentials: readonly Credential[];
  /** Whether there are states or modes in which no credential is needed. */
  readonly openSometimes: boolean;
  readonly refusals: readonly Refusal[];
}

const { adminAuthRequired, invalidAdminToken, missingWorkspaceToken, invalidWorkspaceToken, platformUnavailable } = problem;
const workspaceTokenRefusals = [missingWorkspaceToken(), invalidWorkspaceToken(), platformUnavailable()];
const adminRefusals = [adminAuthRequired(), invalidAdminToken(), platformUnavailable()];

export const AUTH_CLASSES: Readonly<Record<string, AuthClass>> = {
  none: { who: 'Anybody.', credentials: [], openSometimes: true, refusals: [] },
  admin: {
    who: 'An operator: the admin token, an organisation token or a canvas session. While no ADMIN_TOKEN is set, any live workspace token; while there is none either, and in development mode, anybody.',
    credentials: ['adminToken', 'orgToken', 'session', 'workspaceToken'],
    openSometimes: true,
    refusals: adminRefusals,
  },
  workspace: {
    who: 'The workspace of the path itself, an operator, or a page of the canvas. In development mode also whoever shows no bearer.',
    credentials: ['workspaceToken', 'adminToken', 'orgToken', 'session'],
    openSometimes: true,
    refusals: workspaceTokenRefusals,
  },
  discovery: {
    who: 'The workspace that asks, with its own token, or a canvas session; anybody while it has no token (not in production), and in development mode.',
    credentials: ['workspaceToken', 'session'],
    openSometimes: true,
    refusals: [...workspaceTokenRefusals, problem.invalidSession()],
  },
  registryToken: {
    who: 'The workspace named in the body, with its own token; anybody while it has none (not in production).',
    credentials: ['workspaceToken'],
    openSometimes: true,
    refusals: workspaceTokenRefusals,
  },
  caller: {
    who: 'A workspace that says who it is (X-Workspace-ID) shows its own token once it has one. Without that header it is the canvas: in production it needs a session, or an operator’s token.',
    credentials: ['workspaceToken', 'adminToken', 'orgToken', 'session'],
    openSometimes: true,
    refusals: workspaceTokenRefusals,
  },
  queue: {
    who: 'The workspace of the path, an operator or the canvas, as for its other data; and for what it sent itself, a workspace that says who it is (X-Workspace-ID) or shows its own token.',
    credentials: ['workspaceToken', 'adminToken', 'orgToken', 'session'],
    openSometimes: true,
    refusals: [
      ...workspaceTokenRefusals,
      new Refusal('forbidden', 'invalid caller ID'),
      new Refusal('unauthenticated', 'missing caller auth token'),
      new Refusal('unauthenticated', 'invalid caller auth token'),
    ],
  },
  canvasOrBearer: {
    who: 'A page of an allowed origin, a canvas session, the admin token or any live workspace token; anybody while no token is live, and in development mode.',
    credentials: ['session', 'adminToken', 'workspaceToken'],
    openSometimes: true,
    refusals: adminRefusals,
  },
  socket: {
    who: 'The canvas hears everything: in production it needs a session or an operator’s token. A workspace (X-Workspace-ID) shows its own token once it has one, and hears what it may.',
    credentials: ['session', 'adminToken', 'orgToken', 'workspaceToken'],
    openSometimes: true,
    refusals: workspaceTokenRefusals,
  },
  credential: {
    who: 'Whoever shows the admin token or a live organisation token. Never anybody else: no state and no mode opens it.',
    credentials: ['adminToken', 'orgToken'],
    openSometimes: false,
    refusals: adminRefusals,
  },
  session: {
    who: 'Whoever shows the cookie of an open session.',
    credentials: ['session'],
    openSometimes: false,
    refusals: [new Refusal('unauthenticated', 'not signed in'), problem.invalidSession(), platformUnavailable()],
  },
  testToken: {
    who: 'Test scripts, outside production: the admin token where one is set, else anybody.',
    credentials: ['adminToken'],
    openSometimes: true,
    refusals: [adminAuthRequired()],
  },
};
