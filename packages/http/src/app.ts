/** The hono app every service starts from: the conventions of spec 1 §0 that hold for all routes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestContext } from '@molecule/contracts';
import { type Log, newId } from '@molecule/service';
import { Hono } from 'hono';
import type { H, RouterRoute } from 'hono/types';
import { findTargetHandler } from 'hono/utils/handler';
import type { z } from 'zod';
import { anonymousContext, attachedContext, type WithContext } from './context.ts';
import type { RouteDoc } from './doc.ts';
import { renderError } from './problems.ts';

/** What hono's `c.env` holds: node's own request and response, or, in a test without a server, a context. */
export interface NodeBindings {
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
  readonly context?: RequestContext;
}

/** Every request gets its context, a request id and a logger; unknown paths and thrown values are answered as the spec says. */
export function serviceApp(log: Log): Hono<WithContext> {
  const app = new Hono<WithContext>();
  let isRoute: ((method: string, path: string) => boolean) | undefined;

  app.use(function onlyWhatIsDeclared(c, next) {
    // hono answers HEAD from GET; the contract knows no HEAD, and what it does not know is a 404.
    return c.req.method === 'HEAD' ? Promise.resolve(c.notFound()) : next();
  });

  app.use(async function context(c, next) {
    const env = c.env as NodeBindings | undefined;
    const context = (env?.incoming && attachedContext(env.incoming)) ?? env?.context ?? anonymousContext(newId());
    c.set('context', context);
    c.set('requestId', context.requestId);
    c.set('log', log.child({ requestId: context.requestId }));
    await next();
  });

  app.notFound((c) => {
    const { pathname, search } = new URL(c.req.url);
    isRoute ??= routeMatcher(app.routes);
    const trimmed = trimSlashes(pathname);
    if (trimmed !== pathname && isRoute(c.req.method, trimmed)) {
      return c.body(null, redirectStatus(c.req.method), { location: `${trimmed}${search}` });
    }
    return c.body('404 page not found', 404, { 'content-type': 'text/plain' });
  });

  app.onError(renderError(log));
  return app;
}

/** `/x/` becomes `/x`; `/` stays. Never begins with two slashes: as a Location that would name another host. */
export const trimSlashes = (path: string): string =>
  path.length > 1 && path.endsWith('/') ? path.replace(/\/+$/, '') || '/' : path;

export const redirectStatus = (method: string | undefined): 301 | 307 => (method === 'GET' ? 301 : 307);

export interface RouteInfo {
  readonly method: string;
  readonly path: string;
  /** The name of its auth class; `undeclared` is a mistake that a test reports. */
  readonly authClass: string;
  readonly doc?: RouteDoc;
  /** The schema that checks its body. */
  readonly body?: z.ZodType;
}

/** What the middlewares of a route say of it. */
interface Declarations {
  readonly authClass?: string;
  readonly routeDoc?: RouteDoc;
  readonly bodySchema?: z.ZodType;
}

/** The routes of an app with their auth classes; middlewares for whole subtrees are left out. */
export function listRoutes(app: Hono<WithContext>): RouteInfo[] {
  const routes = new Map<string, RouteInfo>();
  for (const { method, path, handler } of app.routes) {
    if (method === 'ALL') continue;
    const key = `${method} ${path}`;
    const { authClass, routeDoc, bodySchema } = findTargetHandler(handler as H) as Declarations;
    routes.set(key, {
      ...(routes.get(key) ?? { method, path, authClass: 'undeclared' }),
      ...(authClass !== undefined && { authClass }),
      ...(routeDoc !== undefined && { doc: routeDoc }),
      ...(bodySchema !== undefined && { body: bodySchema }),
    });
  }
  return [...routes.values()];
}

function routeMatcher(routes: readonly RouterRoute[]): (method: string, path: string) => boolean {
  const patterns = routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => ({ method, pattern: patternOf(path) }));
  return (method, path) => patterns.some((route) => route.method === method && route.pattern.test(path));
}

/** `/workspaces/:id` as an anchored pattern. */
const patternOf = (path: string): RegExp =>
  new RegExp(
    `^${path
      .split('/')
      .map((part) => {
        if (part === '*') return '.*';
        if (part.startsWith(':')) return '[^/]+';
        return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      })
      .join('/')}$`,
  );
