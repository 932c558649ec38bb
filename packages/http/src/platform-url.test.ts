import { describe, expect, it } from 'vitest';
import { platformUrl } from './platform-url.ts';

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
});
