import { describe, expect, it } from 'vitest';
import { connectionBlock, platformUrl } from './connection.ts';

const asked = { configured: undefined, forwardedProto: undefined, forwardedHost: undefined, host: 'm.local:8080', tls: false };

describe('where agents reach the platform', () => {
  it.each([
    [{}, 'http://m.local:8080'],
    [{ tls: true }, 'https://m.local:8080'],
    [{ forwardedProto: 'https', forwardedHost: 'm.example' }, 'https://m.example'],
    [{ forwardedHost: '[::1]:80' }, 'http://[::1]:80'],
    [{ forwardedHost: '"; rm -rf /; "', forwardedProto: 'x"' }, 'http://m.local:8080'],
    [{ host: undefined }, 'http://localhost'],
    [{ configured: 'https://a.example/' }, 'https://a.example'],
  ])('with %j is %s', (differs, url) => expect(platformUrl({ ...asked, ...differs })).toBe(url));

  it('is in every snippet, beside the placeholders that the canvas replaces', () => {
    const block = connectionBlock('an-id', 'https://m.example', 'secret');
    expect(block.curl_register_template).toContain('https://m.example/registry/register');
    expect(block.python_snippet).toContain('PLATFORM_URL  = "https://m.example"');
    expect(block.curl_register_template + block.python_snippet).not.toContain('secret');
  });
});
