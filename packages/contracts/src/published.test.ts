import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { FACTS } from './facts/index.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** A red test here means that facts already in the log changed their meaning: add a new type, or raise the schema and write an upcaster. */
it('leaves published facts as they are', async () => {
  const withoutPatterns = ({ jsonSchema }: { jsonSchema: { pattern?: string } }) => {
    delete jsonSchema.pattern;
  };
  const shapes = Object.entries(FACTS).map(([type, { schema, audience }]) => [
    type,
    { audience, schema: z.toJSONSchema(schema, { io: 'input', override: withoutPatterns }) },
  ]);
  await expect(`${JSON.stringify(Object.fromEntries(shapes), null, 2)}\n`).toMatchFileSnapshot(here('../published/facts.json'));
});
