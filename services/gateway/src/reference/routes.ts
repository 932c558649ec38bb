/** `/openapi.json`, `/asyncapi.json` and `/docs` (our additions): what is here to be asked and heard. They hold no data, so they are open in every mode. */
import { Refusal } from '@molecule/contracts';
import { auth, doc, JSON_TYPE, type WithContext } from '@molecule/http';
import { type Context, Hono } from 'hono';
import type { Reference } from './documents.ts';

const NOT_GENERATED = 'the reference was not generated';

const generated = (summary: string) =>
  doc({
    summary,
    source: 'addition',
    answers: { 200: { description: 'The document.', body: 'application/json' } },
    refusals: [['not-found', NOT_GENERATED]],
  });

export const referenceRoutes = ({ openapi, asyncapi, page }: Reference) =>
  new Hono<WithContext>()
    .get('/openapi.json', generated('Show what every route takes and answers, as OpenAPI 3.1'), auth.none, (c) =>
      document(c, openapi),
    )
    .get('/asyncapi.json', generated('Show what is told over the bus, sockets and streams, as AsyncAPI 3'), auth.none, (c) =>
      document(c, asyncapi),
    )
    .get(
      '/docs',
      doc({
        summary: 'Show both documents to a person',
        source: 'addition',
        answers: { 200: { description: 'A page.', body: 'text/html' } },
      }),
      auth.none,
      (c) => c.body(page, 200, { 'content-type': 'text/html; charset=utf-8' }),
    );

function document(c: Context<WithContext>, text: string | null): Response {
  if (text === null) throw new Refusal('not-found', NOT_GENERATED);
  return c.body(text, 200, { 'content-type': JSON_TYPE });
}
