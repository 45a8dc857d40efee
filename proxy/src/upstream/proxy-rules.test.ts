import { describe, expect, it } from 'vitest';
import { createProxyRules } from './proxy-rules.ts';

describe('createProxyRules', () => {
  it.each<[string, string, boolean]>([
    ['', 'https://contoso.openai.azure.com', false],
    ['*', 'https://contoso.openai.azure.com', true],
    ['contoso.openai.azure.com', 'https://contoso.openai.azure.com', true],
    ['CONTOSO.openai.azure.com.', 'https://contoso.OPENAI.azure.com', true],
    ['azure.com', 'https://contoso.openai.azure.com', true],
    ['.azure.com', 'https://contoso.openai.azure.com', true],
    ['*.azure.com', 'https://contoso.openai.azure.com', true],
    ['*.azure.com', 'https://azure.com', false],
    ['.azure.com', 'https://azure.com', true],
    ['azure.com', 'https://notazure.com', false],
    ['other.example, azure.com', 'https://x.azure.com', true],
    ['other.example azure.com', 'https://x.azure.com', true],
    ['azure.com:443', 'https://x.azure.com', true],
    ['azure.com:8443', 'https://x.azure.com', false],
    ['azure.com:8443', 'https://x.azure.com:8443', true],
    ['*:8443', 'https://x.azure.com:8443', true],
    ['10.0.0.4', 'https://10.0.0.4', true],
    ['10.0.0.0/8', 'https://10.200.0.4:8443', true],
    ['10.0.0.0/8', 'https://11.0.0.4', false],
    ['10.0.0.0/99', 'https://10.0.0.4', false],
    ['fd00::/8', 'https://[fd00::1]', true],
    ['fd00::1', 'https://[fd00::1]', true],
    ['[fd00::1]:443', 'https://[fd00::1]', true],
    ['[fd00::1]:8443', 'https://[fd00::1]', false],
    ['', 'http://127.0.0.1:8080', true],
    ['', 'http://127.8.8.8', true],
    ['', 'http://localhost:8080', true],
    ['', 'https://a.localhost', true],
    ['', 'http://[::1]:8080', true],
    ['', 'http://169.254.169.254', true],
  ])('with NO_PROXY=%j, %s is direct: %s', (noProxy, origin, expected) => {
    expect(createProxyRules(noProxy)(origin)).toBe(expected);
  });
});
