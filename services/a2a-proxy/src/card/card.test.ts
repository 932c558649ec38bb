import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { proxiedCard } from './card.ts';

const URL = 'https://m.example/workspaces/w/a2a';
const INSIDE = 'http://10.0.0.7:8000';

describe('the card that callers see', () => {
  it('C1–C3: of A2A 0.3', () => {
    const card = {
      protocolVersion: '0.3.0',
      name: 'borealis',
      url: `${INSIDE}/`,
      preferredTransport: 'GRPC',
      additionalInterfaces: [
        { url: `${INSIDE}/`, transport: 'JSONRPC' },
        { url: `${INSIDE}/grpc`, transport: 'GRPC' },
        { url: `${INSIDE}/v1`, transport: 'HTTP+JSON' },
      ],
      provider: { organization: 'o', url: 'https://provider.example' },
      documentationUrl: 'https://docs.example',
      capabilities: { streaming: true, extensions: [{ uri: 'https://e.example', params: { x: [1] } }] },
      signatures: [{ protected: 'p', signature: 's' }],
      skills: [],
      later: { unknown: null },
    };
    const { signatures: _, ...kept } = card;
    const shown = proxiedCard(card, URL);
    expect(shown).toEqual({
      ...kept,
      url: URL,
      preferredTransport: 'JSONRPC',
      additionalInterfaces: [{ url: URL, transport: 'JSONRPC' }],
    });
    expect(Object.keys(shown)).toEqual(Object.keys(kept));
    expect(JSON.stringify(shown)).not.toContain('10.0.0.7');
  });

  it('C1, C2: of A2A 1.0', () => {
    const card = {
      name: 'borealis',
      supportedInterfaces: [
        { url: `${INSIDE}/`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: 't' },
        { url: `${INSIDE}/grpc`, protocolBinding: 'GRPC', protocolVersion: '1.0' },
      ],
    };
    expect(proxiedCard(card, URL)).toEqual({
      name: 'borealis',
      supportedInterfaces: [{ url: URL, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: 't' }],
    });
  });

  it('C1: has an address also if the agent gave none', () => {
    expect(proxiedCard({ name: 'my-agent', skills: [] }, URL)).toEqual({ name: 'my-agent', skills: [], url: URL });
  });

  it('C1: shows no address of the agent’s, whatever its card looks like', () => {
    const inside = fc.constantFrom(INSIDE, 7, null);
    const entry = fc.oneof(
      fc.jsonValue(),
      fc.record({ url: inside, transport: fc.constantFrom('jsonrpc', 'GRPC', 7) }, { requiredKeys: [] }),
    );
    const card = fc.record(
      { url: inside, additionalInterfaces: fc.oneof(fc.array(entry)), supportedInterfaces: fc.array(entry) },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(card, (given) => void expect(JSON.stringify(proxiedCard(given, URL))).not.toContain(INSIDE)));
  });
});
