/**
 * The OpenAPI 3.1 document of what all services answer over HTTP, made of their routes: of the auth class that guards each, of the very
 * schema that validates its body, and of what it says of itself (`doc`). Pure.
 */
import type { Refusal, ServiceName } from '@molecule/contracts';
import { JSON_TYPE, type RouteDoc, type RouteInfo, statusOf } from '@molecule/http';
import { z } from 'zod';
import { AUTH_CLASSES, type AuthClass } from './auth-classes.ts';
import { type JsonSchema, Schemas } from './json-schema.ts';

export interface DocumentedService {
  readonly service: ServiceName;
  readonly routes: readonly RouteInfo[];
}

const SERVICES: Readonly<Record<ServiceName, string>> = {
  registry: 'Workspaces: their lifecycle, place in the tree, tokens and data; what agents ask the registry.',
  'a2a-proxy': 'Calls between agents, and what became of them.',
  scheduler: 'Schedules of workspaces.',
  provisioner: 'Where agents run, and what they run with.',
  sweeper: 'What was found dead or orphaned.',
  gateway: 'The edge itself: health, figures, administration, sockets, these documents.',
};

const SECURITY_SCHEMES = {
  adminToken: { type: 'http', scheme: 'bearer', description: 'The platform’s `ADMIN_TOKEN`.' },
  orgToken: { type: 'http', scheme: 'bearer', description: 'A token of the organisation (`POST /org/tokens`).' },
  workspaceToken: { type: 'http', scheme: 'bearer', description: 'A live token of the workspace that is concerned.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'molecule_session',
    description: 'A canvas session (`POST /session`).',
  },
} as const;

const ABOUT = `Every answer carries \`X-RateLimit-Limit\`, \`-Remaining\` and \`-Reset\`; a page of an origin that is not allowed is answered with
an empty 403; an unknown path or method with 404 and the text \`404 page not found\`; what depends on a store or a service that is away
with 503 and the code \`platform_unavailable\`; an unhandled error with an empty 500. Errors are
\`{"error":"<text>"}\`; the texts below are exact. Bodies are parsed as JSON whatever \`Content-Type\` says, and unknown keys are ignored.`;

/** What the parameters of paths stand for. */
const PARAMETERS: Readonly<Record<string, string>> = {
  id: 'The id of a workspace, a UUID in lower case.',
  workspaceId: 'The id of a workspace, a UUID in lower case.',
  tokenId: 'The id of a token.',
  scheduleId: 'The id of a schedule.',
};

export function openApiOf(services: readonly DocumentedService[], { version }: { readonly version: string }): JsonSchema {
  const schemas = new Schemas({ target: 'draft-2020-12' });
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { service, path, route } of sorted(services)) {
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(service, route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Molecule', version, description: ABOUT.replaceAll('\n', ' ') },
    tags: Object.entries(SERVICES).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: { Error: ERROR, ...schemas.components },
      securitySchemes: SECURITY_SCHEMES,
      responses: { RateLimited: RATE_LIMITED },
    },
  };
}

/** What keeps the document from being whole, one sentence each. */
export function gapsOf(services: readonly DocumentedService[]): string[] {
  return services.flatMap(({ service, routes }) =>
    routes.flatMap(({ method, path, authClass, doc }) => {
      const route = `${method} ${path} of ${service}`;
      return [
        ...(doc === undefined ? [`${route} does not say what it is: give it doc({ … })`] : []),
        ...(AUTH_CLASSES[authClass] === undefined
          ? [`${route} has the auth class ${authClass}, which AUTH_CLASSES does not know`]
          : []),
      ];
    }),
  );
}

/** By path, then method, whatever the order in which services tell them: the same routes make the same document. */
const sorted = (services: readonly DocumentedService[]) =>
  services
    .flatMap(({ service, routes }) => routes.map((route) => ({ service, path: templateOf(route.path), route })))
    .toSorted((a, b) => compare(a.path, b.path) || compare(a.route.method, b.route.method));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** `/files/:path{.+}` → `/files/{path}`. */
const templateOf = (path: string): string => path.replaceAll(/:(\w+)(\{[^}]*\})?\??/g, '{$1}').replace(/\*$/, '{rest}');

function operationOf(service: ServiceName, route: RouteInfo, schemas: Schemas): JsonSchema {
  const { method, path, authClass, doc } = route;
  const guard = AUTH_CLASSES[authClass];
  const template = templateOf(path);
  const description = [doc?.description, guard && `**Who may:** ${guard.who}`, doc && `Source: ${doc.source}.`];
  const body = bodyOf(route, schemas);
  return {
    operationId: operationId(method, template),
    tags: [service],
    summary: doc?.summary ?? template,
    description: description.filter((part) => part !== undefined).join('\n\n'),
    'x-auth-class': authClass,
    security: securityOf(guard),
    parameters: parametersOf(template, doc, schemas),
    ...(body !== undefined && { requestBody: { required: true, content: body } }),
    responses: responsesOf(doc, guard, schemas),
  };
}

/** `GET /workspaces/{id}/tokens` → `get_workspaces_id_tokens`. */
const operationId = (method: string, template: string): string =>
  `${method.toLowerCase()}${template.replaceAll(/[^A-Za-z0-9]+/g, '_').replace(/_$/, '')}`;

/** Any one of the credentials, or none where a state or mode opens the door. */
const securityOf = (guard: AuthClass | undefined): JsonSchema[] => [
  ...(guard?.credentials ?? []).map((name) => ({ [name]: [] })),
  ...(guard === undefined || guard.openSometimes ? [{}] : []),
];

function bodyOf({ body, doc }: RouteInfo, schemas: Schemas): JsonSchema | undefined {
  const said = doc?.body ?? body;
  return said === undefined ? undefined : contentOf(said, schemas, 'input');
}

const contentOf = (said: z.ZodType | string, schemas: Schemas, io: 'input' | 'output'): Record<string, { schema: JsonSchema }> =>
  said instanceof z.ZodType
    ? { [JSON_MEDIA]: { schema: schemas.of(said, io) } }
    : { [said]: { schema: said.startsWith('text/') ? { type: 'string' } : {} } };

const [JSON_MEDIA = ''] = JSON_TYPE.split(';');

function parametersOf(template: string, doc: RouteDoc | undefined, schemas: Schemas): JsonSchema[] {
  const inPath = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    ...(PARAMETERS[name] !== undefined && { description: PARAMETERS[name] }),
    schema: { type: 'string' },
  }));
  const query = doc?.query === undefined ? {} : (schemas.of(doc.query, 'input') as ObjectSchema);
  const inQuery = Object.entries(query.properties ?? {}).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: query.required?.includes(name) ?? false,
    ...(description !== undefined && { description }),
    schema,
  }));
  const inHeaders = Object.entries(doc?.headers ?? {}).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
  return [...inPath, ...inQuery, ...inHeaders];
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  readonly required?: readonly string[];
}

const ERROR = {
  type: 'object',
  properties: { error: { type: 'string' } },
  required: ['error'],
  description: 'Why not. Some refusals carry more beside the text, as their examples show.',
};
const ERROR_REF = { $ref: '#/components/schemas/Error' };

const RATE_LIMITED = {
  description:
    'Too many requests from this address within a minute (spec 1 §4.12), not in development mode; or, in production, too many wrong credentials.',
  headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
  content: {
    [JSON_MEDIA]: {
      schema: ERROR_REF,
      examples: {
        'rate-limit-exceeded': { value: { error: 'rate limit exceeded', retry_after: 42 } },
        'too-many-failed-authentications': { value: { error: 'too many failed authentications', retry_after: 42 } },
      },
    },
  },
};

interface Told {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> & { readonly error: string };
}

/** Answers and refusals by status; one status may have both, and several texts. */
function responsesOf(doc: RouteDoc | undefined, guard: AuthClass | undefined, schemas: Schemas): JsonSchema {
  const answers = doc?.answers ?? {};
  const refusals = [...(guard?.refusals ?? []).map(toldOf), ...(doc?.refusals ?? []).map(toldOf)];
  const statuses = new Set([...Object.keys(answers).map(Number), ...refusals.map(({ status }) => status)]);
  const responses = [...statuses]
    .toSorted((a, b) => a - b)
    .map((status) => {
      const told = refusals.filter((refusal) => refusal.status === status);
      return [String(status), responseOf(answers[status], told, schemas)] as const;
    });
  return { ...Object.fromEntries(responses), '429': rateLimited(responses) };
}

/** A route's own 429 has more to say than the limit that stands before every route. */
const rateLimited = (responses: readonly (readonly [string, JsonSchema])[]): JsonSchema =>
  responses.find(([status]) => status === '429')?.[1] ?? { $ref: '#/components/responses/RateLimited' };

type SaidRefusal = NonNullable<RouteDoc['refusals']>[number];

const toldOf = (refusal: SaidRefusal | Refusal): Told => {
  if (refusal instanceof Error) return { status: statusOf(refusal.kind), body: { error: refusal.message, ...refusal.body } };
  const [kind, text, more = {}] = refusal;
  return { status: statusOf(kind), body: { error: text, ...more } };
};

function responseOf(answer: RouteDoc['answers'][number] | undefined, told: readonly Told[], schemas: Schemas): JsonSchema {
  const content = answer?.body === undefined ? {} : contentOf(answer.body, schemas, 'output');
  const description = [answer?.description, ...new Set(told.map(({ body }) => `\`${body.error}\``))]
    .filter((part) => part !== undefined)
    .join(' · ');
  if (told.length === 0) return { description, ...(answer?.body !== undefined && { content }) };
  const beside = content[JSON_MEDIA]?.schema;
  const schema = beside === undefined ? ERROR_REF : { anyOf: [beside, ERROR_REF] };
  return { description, content: { ...content, [JSON_MEDIA]: { schema, examples: examplesOf(told) } } };
}

/** Each exact text under a name made of it. */
function examplesOf(told: readonly Told[]): JsonSchema {
  const examples: Record<string, { value: unknown }> = {};
  for (const { body } of told) {
    const name = body.error
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .slice(0, 60)
      .replaceAll(/^-|-$/g, '');
    examples[name] ??= { value: body };
  }
  return examples;
}
