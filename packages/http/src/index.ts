/** The public surface of @molecule/http: how a service speaks HTTP. What is not named here is private to the package. */
export { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
export { listRoutes, type NodeBindings, type RouteInfo, serviceApp } from './app.ts';
export {
  type AuthDecision,
  type AuthMiddleware,
  adminRefusal,
  auth,
  canvasRefusal,
  defineAuth,
  workspaceRefusal,
} from './auth.ts';
export {
  BodyError,
  type BodyOptions,
  type BodyProblem,
  body,
  DEFAULT_MAX_BODY_BYTES,
  type ParsedBody,
  parseBody,
  parseJson,
  type ReadBodyOptions,
  readBody,
} from './body.ts';
export {
  anonymousContext,
  attachContext,
  attachedContext,
  CONTEXT_HEADER,
  signContext,
  verifyContext,
  type WithContext,
} from './context.ts';
export { type DocMiddleware, doc, type RouteDoc } from './doc.ts';
export { endWith, isEventStream } from './exchange.ts';
export { type Listening, type ListenOptions, listen } from './listen.ts';
export {
  type CatchesUp,
  createListener,
  type HttpService,
  httpService,
  type Listener,
  type ListenerOptions,
  type RawRoute,
  type RunningService,
} from './listener.ts';
export { originOf, platformUrl } from './platform-url.ts';
export { isUnavailable, JSON_TYPE, json, jsonBody, problem, renderError, sendError, sendJson, statusOf } from './problems.ts';
export { ReverseProxy, type ReverseProxyOptions } from './reverse-proxy.ts';
export {
  type ServiceAnswer,
  ServiceClient,
  type ServiceClientOptions,
  type ServiceRequest,
  ServiceUnreachable,
} from './service-client.ts';
export { Upstream, type UpstreamOptions } from './upstream.ts';
