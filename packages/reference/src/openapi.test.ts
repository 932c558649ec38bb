import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { auth, body, defineAuth, doc, httpService, json, problem, serviceApp } from '@molecule/http';
import { createLog } from '@molecule/service';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Schemas } from './json-schema.ts';
import { gapsOf, openApiOf } from './openapi.ts';

const Thing = z.object({ id: z.string(), size: z.int() }).meta({ id: 'Thing' });

const app = serviceApp(createLog({ service: 'test', level: 'silent' }))
  .get(
    '/things/:id',
    doc({
      summary: 'Show a thing',
      source: 'addition',
      answers: {
        200: { description: 'The thing', body: Thing },
        404: { description: 'Gone', body: z.object({ gone: z.literal(true) }) },
      },
      refusals: [
        ['not-found', 'thing not found'],
        ['failed', 'query failed', { retry: true }],
      ],
      query: z.object({ deep: z.string().optional().describe('How deep.') }),
      headers: { 'X-Workspace-ID': 'Who asks.' },
    }),
    auth.workspace,
    (c) => json(c, {}),
  )
  .post(
    '/things',
    doc({ summary: 'Make a thing', source: 'addition', answers: { 201: { description: 'Made', body: Thing } } }),
    auth.admin,
    body(z.object({ size: z.int().default(3) }), problem.invalidRequestBody),
    (c) => json(c, {}, 201),
  )
  .delete(
    '/things',
    defineAuth('moon', () => null),
    (c) => json(c, {}),
  );

const services = [{ service: 'registry', routes: httpService(app).routes() }] as const;
// biome-ignore lint/suspicious/noExplicitAny: a document, looked into by tests
const document = openApiOf(services, { version: '1.2.3' }) as any;

describe('the OpenAPI document', () => {
  it('is one, by the official schema', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  it('is one as it is kept, of all services', async () => {
    const kept = JSON.parse(readFileSync(join(import.meta.dirname, '../../../docs/reference/openapi.json'), 'utf8'));
    expect((await new Validator().validate(kept)).errors ?? []).toEqual([]);
    const ids = Object.values(kept.paths).flatMap((methods) =>
      Object.values(methods as Record<string, { operationId: string }>).map(({ operationId }) => operationId),
    );
    expect(ids.length).toBeGreaterThan(50);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('tells what a route takes', () => {
    expect(document.paths['/things/{id}'].get).toMatchObject({
      operationId: 'get_things_id',
      tags: ['registry'],
      summary: 'Show a thing',
      'x-auth-class': 'workspace',
      security: [{ workspaceToken: [] }, { adminToken: [] }, { orgToken: [] }, { session: [] }, {}],
      parameters: [
        { name: 'id', in: 'path', required: true },
        { name: 'deep', in: 'query', required: false, description: 'How deep.', schema: { type: 'string' } },
        { name: 'X-Workspace-ID', in: 'header', description: 'Who asks.' },
      ],
    });
    expect(document.paths['/things'].post.requestBody.content['application/json'].schema).toEqual({
      type: 'object',
      properties: { size: { type: 'integer', default: 3 } },
    });
  });

  it('names each answer once, and every refusal with its exact text: the route’s own and those of its auth class', () => {
    const { responses } = document.paths['/things/{id}'].get;
    expect(Object.keys(responses)).toEqual(['200', '401', '404', '429', '500', '503']);
    expect(responses[200].content['application/json'].schema).toEqual({ $ref: '#/components/schemas/Thing' });
    expect(document.components.schemas.Thing).toMatchObject({ required: ['id', 'size'] });
    expect(responses[401].content['application/json'].examples).toEqual({
      'missing-workspace-auth-token': { value: { error: 'missing workspace auth token' } },
      'invalid-workspace-auth-token': { value: { error: 'invalid workspace auth token' } },
    });
    expect(responses[404].content['application/json'].schema.anyOf).toHaveLength(2);
    expect(responses[500].content['application/json'].examples['query-failed'].value).toEqual({
      error: 'query failed',
      retry: true,
    });
    expect(responses[503].content['application/json'].examples).toMatchObject({
      'platform-datastore-unavailable-retry-shortly': { value: { code: 'platform_unavailable' } },
    });
  });

  it('says what it lacks', () => {
    expect(gapsOf(services)).toEqual([
      'DELETE /things of registry does not say what it is: give it doc({ … })',
      'DELETE /things of registry has the auth class moon, which AUTH_CLASSES does not know',
    ]);
  });

  it('does not depend on the order in which routes are told', () => {
    const turned = services.map(({ service, routes }) => ({ service, routes: routes.toReversed() }));
    expect(JSON.stringify(openApiOf(turned, { version: '1.2.3' }))).toBe(JSON.stringify(document));
  });

  it('takes no two shapes under one name', () => {
    const schemas = new Schemas({ target: 'draft-2020-12' });
    const shape = z.object({ size: z.int().default(3) }).meta({ id: 'Sized' });
    expect(schemas.of(shape, 'input')).toEqual({ $ref: '#/components/schemas/Sized' });
    expect(() => schemas.of(shape, 'output')).toThrow('two schemas are named Sized');
  });
});
