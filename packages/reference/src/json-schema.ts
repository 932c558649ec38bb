/**
 * zod schemas as JSON Schema, for documents: a schema with a name (`.meta({ id })`) is written once, under the document's components,
 * and referred to; bounds and patterns that only repeat a type or a format are left out.
 */
import { Json } from '@molecule/contracts';
import { z } from 'zod';

export type JsonSchema = Readonly<Record<string, unknown>>;

z.globalRegistry.add(Json, { id: 'Json', description: 'Any JSON value.' });

export interface SchemasOptions {
  /** OpenAPI 3.1 speaks draft 2020-12, AsyncAPI 3 draft 7. */
  readonly target: 'draft-2020-12' | 'draft-7';
}

/** Translates schemas for one document, and gathers those that have a name. */
export class Schemas {
  readonly #target: SchemasOptions['target'];
  readonly #named = new Map<string, JsonSchema>();

  constructor({ target }: SchemasOptions) {
    this.#target = target;
  }

  /** As a caller may send it (`input`), or as we write it (`output`). @throws Error when two schemas claim one name */
  of(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
    const {
      $schema: _,
      $defs = {},
      definitions = $defs,
      ...whole
    } = z.toJSONSchema(schema, {
      io,
      target: this.#target,
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => tidy(jsonSchema, zodSchema === Json),
    }) as Record<string, unknown>;
    for (const [name, { id: __, ...definition }] of Object.entries(definitions as Record<string, Record<string, unknown>>)) {
      this.#name(name, componentRefs(definition) as JsonSchema);
    }
    const { id, ...rest } = whole as { id?: string };
    if (id === undefined) return componentRefs(rest) as JsonSchema;
    this.#name(id, componentRefs(rest) as JsonSchema);
    return { $ref: `${COMPONENTS}${id}` };
  }

  /** By name, in the order of their names. */
  get components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#named].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #name(name: string, schema: JsonSchema): void {
    const known = this.#named.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(schema))
      throw new Error(`two schemas are named ${name}, or one that differs as input and as output`);
    this.#named.set(name, schema);
  }
}

const COMPONENTS = '#/components/schemas/';

/** `#/$defs/X` → `#/components/schemas/X`, at any depth. */
const componentRefs = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (key, member: unknown) =>
    key === '$ref' && typeof member === 'string' ? member.replace(/^#\/(\$defs|definitions)\//, COMPONENTS) : member,
  );

/** Formats whose pattern says no more than their name. */
const SPOKEN_FORMATS: ReadonlySet<unknown> = new Set(['uuid', 'date-time']);

function tidy(schema: Record<string, unknown>, isAnyJson: boolean): void {
  if (isAnyJson) {
    for (const key of Object.keys(schema)) delete schema[key];
    return;
  }
  if (SPOKEN_FORMATS.has(schema['format'])) delete schema['pattern'];
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
  // Answers may grow; a reader that takes what it knows is not broken by that.
  if (schema['additionalProperties'] === false) delete schema['additionalProperties'];
  delete schema['propertyNames'];
}
