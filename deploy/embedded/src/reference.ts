/**
 * The reference documents, made of the services as they run: of the routes that each of the six answers, and of the contracts of the
 * bus. Only a deployment knows all six.
 */
import { join } from 'node:path';
import type { ServiceName } from '@molecule/contracts';
import type { HttpService } from '@molecule/http';
import { asyncApiOf, type DocumentedService, openApiOf } from '@molecule/reference';

const ROOT = join(import.meta.dirname, '../../..');
export const REFERENCE_DIR = join(ROOT, 'docs/reference');

/** What the documents are told apart by, not the build: it changes with what they say. */
const VERSION = '0.1.0';

export const documented = (
  services: Readonly<Record<ServiceName, { readonly http: Pick<HttpService, 'routes'> }>>,
): DocumentedService[] =>
  Object.entries(services).map(([service, { http }]) => ({ service: service as ServiceName, routes: http.routes() }));

/** Each file of `docs/reference` that is generated, by its name. */
export const referenceFiles = (services: readonly DocumentedService[]): Readonly<Record<string, string>> => ({
  'openapi.json': asText(openApiOf(services, { version: VERSION })),
  'asyncapi.json': asText(asyncApiOf({ version: VERSION })),
});

const asText = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;
