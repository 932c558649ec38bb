import { ask, CANVAS_EVENTS, FACTS, subjects } from '@molecule/contracts';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { asyncApiOf } from './asyncapi.ts';

interface Document {
  readonly channels: Readonly<
    Record<string, { readonly address: string | null; readonly messages: Readonly<Record<string, unknown>> }>
  >;
  readonly components: {
    readonly messages: Readonly<Record<string, { readonly payload: { readonly properties?: object } }>>;
    readonly schemas: Readonly<Record<string, unknown>>;
  };
}
const document = asyncApiOf({ version: '1.2.3' }) as unknown as Document;
const addresses = Object.values(document.channels).map(({ address }) => address);

describe('the AsyncAPI document', () => {
  it('is one, by the official schema', async () => {
    const { default: specs } = await import('@asyncapi/specs');
    const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false });
    addFormats.default(ajv);
    const isValid = ajv.compile(specs.schemasWithoutId['3.0.0'] as object);
    isValid(document);
    expect(isValid.errors ?? []).toEqual([]);
  });

  it.each(Object.entries(FACTS))('holds the fact %s, with an address only if others hear it', (type, { audience }) => {
    const channel = document.channels[`fact.${type}`];
    expect(channel?.address).toBe(audience === 'all' ? `${type}.{workspaceId}` : null);
    expect(document.components.messages[`fact.${type}`]?.payload.properties).toMatchObject({ type: { const: type }, data: {} });
  });

  it('holds every ask, with its answer', () => {
    const asks = Object.values(ask).flatMap((verbs) => Object.values(verbs).map(({ subject }) => subject));
    expect(asks.length).toBeGreaterThan(15);
    for (const subject of asks) {
      expect(addresses).toContain(subject);
      expect(document.channels).toHaveProperty([`${subject}.reply`]);
    }
  });

  it('holds the subject that each builder builds', () => {
    const built = Object.entries(subjects).flatMap(([name, subject]): string[] => {
      if (name.startsWith('every') || name === 'fact') return [];
      if (typeof subject === 'string') return [subject];
      const [first, second] = name === 'live' ? ['registry', 'x'] : ['x', 'y'];
      return [(subject as (...tokens: string[]) => string)(first, second)];
    });
    const patterns = addresses.flatMap((address) =>
      address === null ? [] : [new RegExp(`^${address.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^.]+')}$`)],
    );
    expect(built.length).toBeGreaterThan(8);
    expect(built.filter((subject) => !patterns.some((pattern) => pattern.test(subject)))).toEqual([]);
  });

  it('holds every event of the wire, for sockets and for streams', () => {
    const told = (id: string) => Object.keys(document.channels[id]?.messages ?? {}).map((name) => name.split('.')[1]);
    const events = [...Object.keys(CANVAS_EVENTS), 'GAP'];
    expect(told('edge.socket')).toEqual(events);
    expect(told('edge.sse')).toEqual(events);
  });

  it('refers to nothing that it lacks', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
    const lacking = refs.filter((path) => {
      const steps = path.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
      return steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document) === undefined;
    });
    expect(refs.length).toBeGreaterThan(100);
    expect(lacking).toEqual([]);
  });
});
