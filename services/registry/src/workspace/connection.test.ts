import { describe, expect, it } from 'vitest';
import { connectionBlock } from './connection.ts';

describe('where agents reach the platform', () => {
  it('is in every snippet, beside the placeholders that the canvas replaces', () => {
    const block = connectionBlock('an-id', 'https://m.example', 'secret');
    expect(block.curl_register_template).toContain('https://m.example/registry/register');
    expect(block.python_snippet).toContain('PLATFORM_URL  = "https://m.example"');
    expect(block.curl_register_template + block.python_snippet).not.toContain('secret');
  });
});
