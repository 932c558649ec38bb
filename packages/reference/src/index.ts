/** The public surface of @molecule/reference: the documents that say what Molecule answers and tells. Pure: no server is needed. */
export { asyncApiOf, CANVAS_SOCKET_EVENTS } from './asyncapi.ts';
export { AUTH_CLASSES, type AuthClass } from './auth-classes.ts';
export { type DocumentedService, gapsOf, openApiOf } from './openapi.ts';
