import { describe, expect, it } from 'vitest';
import { redact } from './redact.ts';

describe('redact', () => {
  it.each([
    ['at https://contoso.openai.azure.com/openai/x?y=1 now', 'at [redacted] now'],
    ['host contoso-eus2.openai.azure.com:443 refused', 'host [redacted] refused'],
    ['svc.default.svc.cluster.local and 10.1.2.3:8080', '[redacted] and [redacted]'],
    ['principal `6f9619ff-8b86-d011-b42d-00cf4fc964ff` lacks', 'principal `[redacted]` lacks'],
    ['/subscriptions/abc/resourceGroups/rg/x is gone', '[redacted] is gone'],
    ['key 0123456789abcdef0123456789abcdef is bad', 'key [redacted] is bad'],
    ['token eyJhbGciOi.eyJzdWIi.c2ln expired', 'token [redacted] expired'],
    [
      'Your requests to my-dep for gpt-4o in East US 2 have exceeded token rate limit.',
      'Your requests have exceeded token rate limit.',
    ],
    ['see https://evil.aka.ms.example.com/x', 'see [redacted]'],
  ])('takes the private part out of %j', (message, expected) => {
    expect(redact(message)).toBe(expected);
  });

  it.each([
    'Please go here: https://aka.ms/oai/quotaincrease if you like.',
    'See https://go.microsoft.com/fwlink/?linkid=2197993.',
    "Unknown parameter: 'messages[0].content.cache_control', e.g. response_format.json_schema",
    "Response with id 'resp_68a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8' not found.",
    'This model supports at most 128000 tokens (version 2024-10-21).',
  ])('leaves %j as it is', (message) => {
    expect(redact(message)).toBe(message);
  });

  it('shows the model’s public name for the deployment’s', () => {
    const names = { deployment: 'prod.1', model: '$&-public' };
    expect(redact('The model prod.1. prod.1-b prod.12 prodx1 (prod.1)', names)).toBe(
      'The model $&-public. prod.1-b prod.12 prodx1 ($&-public)',
    );
  });
});
