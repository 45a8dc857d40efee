import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeAzureUrl, isLoopback, parseAzureUrl } from './azure-url.ts';

const host = 'https://res.openai.azure.com';
const v1 = { origin: host, basePath: '', dialect: 'v1', kind: 'openai' };
const classic = { ...v1, dialect: 'classic' };

describe('every form people paste is understood', () => {
  it.each<[string, object]>([
    ['https://res.openai.azure.com', v1],
    ['https://res.openai.azure.com/', v1],
    ['https://res.openai.azure.com//', v1],
    ['  https://res.openai.azure.com/  ', v1],
    ['"https://res.openai.azure.com/"', v1],
    ["'https://res.openai.azure.com',", v1],
    ['<https://res.openai.azure.com>', v1],
    ['AZURE_OPENAI_ENDPOINT="https://res.openai.azure.com/"', v1],
    ['res.openai.azure.com', v1],
    ['res.openai.azure.com/openai/v1/', v1],
    ['HTTPS://RES.openai.azure.com/OpenAI/V1', v1],
    ['https://res.openai.azure.com:443/openai', v1],
    ['https://res.openai.azure.com/openai/', v1],
    ['https://res.openai.azure.com/openai/v1', v1],
    ['https://res.openai.azure.com/openai/v1/', v1],
    ['https://res.openai.azure.com/v1', v1],
    ['https://res.openai.azure.com/openai/openai/v1', v1],
    ['https://res.openai.azure.com/openai/v1/openai/v1/', v1],
    ['https://res.openai.azure.com/openai/v1/v1', v1],
    ['https://res.openai.azure.com./openai/v1#keys', v1],
    ['https://res.openai.azure.com/openai/v1/responses', { ...v1, operation: 'responses' }],
    [
      'https://res.openai.azure.com/openai/v1/chat/completions?api-version=preview',
      { ...v1, operation: 'chat/completions', apiVersion: 'preview' },
    ],
    ['https://res.openai.azure.com/openai/v1?api-version=2024-10-21', v1],
    ['https://res.openai.azure.com?api-version=v1', v1],
    ['https://res.openai.azure.com/?api-version=latest', v1],
    ['https://res.openai.azure.com/?api-version=', v1],
    [
      'https://res.openai.azure.com?api-version=2024-10-21',
      { ...classic, apiVersion: '2024-10-21' },
    ],
    [
      'https://res.openai.azure.com/openai?api-version=2025-04-01-preview',
      { ...classic, apiVersion: '2025-04-01-preview' },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o',
      { ...classic, deployment: 'gpt-4o' },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/',
      { ...classic, deployment: 'gpt-4o' },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-08-01-preview',
      {
        ...classic,
        deployment: 'gpt-4o',
        operation: 'chat/completions',
        apiVersion: '2024-08-01-preview',
      },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=api-version=2024-08-01-preview',
      {
        ...classic,
        deployment: 'gpt-4o',
        operation: 'chat/completions',
        apiVersion: '2024-08-01-preview',
      },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions&api-version=2024-10-21',
      { ...classic, deployment: 'gpt-4o', operation: 'chat/completions', apiVersion: '2024-10-21' },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21/',
      { ...classic, deployment: 'gpt-4o', operation: 'chat/completions', apiVersion: '2024-10-21' },
    ],
    [
      'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions%3Fapi-version=2024-10-21',
      { ...classic, deployment: 'gpt-4o', operation: 'chat/completions', apiVersion: '2024-10-21' },
    ],
    [
      'https://res.openai.azure.com/deployments/gpt-4o/embeddings?api-version=2024-10-21',
      { ...classic, deployment: 'gpt-4o', operation: 'embeddings', apiVersion: '2024-10-21' },
    ],
    [
      'https://res.openai.azure.com/openai/openai/deployments/whisper/audio/transcriptions?api-version=2024-06-01',
      {
        ...classic,
        deployment: 'whisper',
        operation: 'audio/transcriptions',
        apiVersion: '2024-06-01',
      },
    ],
    [
      'https://res.openai.azure.com/openai/responses?api-version=2025-04-01-preview',
      { ...classic, operation: 'responses', apiVersion: '2025-04-01-preview' },
    ],
    [
      'https://res.openai.azure.com/openai/responses?api-version=preview',
      { ...v1, operation: 'responses', apiVersion: 'preview' },
    ],
    [
      'https://res.openai.azure.com/openai/v1/responses/resp_123/input_items',
      { ...v1, operation: 'responses' },
    ],
    [
      'https://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=rt',
      { ...classic, operation: 'realtime', deployment: 'rt', apiVersion: '2024-10-01-preview' },
    ],
    [
      'wss://res.openai.azure.com/openai/v1/realtime?model=rt',
      { ...v1, operation: 'realtime', deployment: 'rt' },
    ],
    ['https://res.openai.azure.us/', { ...v1, origin: 'https://res.openai.azure.us' }],
    ['https://res.openai.azure.cn/openai/v1', { ...v1, origin: 'https://res.openai.azure.cn' }],
    [
      'https://res.privatelink.openai.azure.com',
      { ...v1, origin: 'https://res.privatelink.openai.azure.com' },
    ],
    [
      'https://res.cognitiveservices.azure.com/openai/deployments/x?api-version=2024-10-21',
      {
        ...classic,
        origin: 'https://res.cognitiveservices.azure.com',
        kind: 'cognitiveservices',
        deployment: 'x',
      },
    ],
    [
      'https://swedencentral.api.cognitive.microsoft.com/',
      {
        ...v1,
        origin: 'https://swedencentral.api.cognitive.microsoft.com',
        kind: 'cognitiveservices',
      },
    ],
    [
      'https://res.services.ai.azure.com',
      { ...v1, origin: 'https://res.services.ai.azure.com', kind: 'foundry' },
    ],
    [
      'https://res.services.ai.azure.com/models',
      { ...v1, origin: 'https://res.services.ai.azure.com', kind: 'foundry' },
    ],
    [
      'https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview',
      {
        ...v1,
        origin: 'https://res.services.ai.azure.com',
        kind: 'foundry',
        operation: 'chat/completions',
      },
    ],
    [
      'https://res.services.ai.azure.com/api/projects/p1',
      {
        origin: 'https://res.services.ai.azure.com',
        basePath: '/api/projects/p1',
        dialect: 'v1',
        kind: 'foundry',
        project: 'p1',
      },
    ],
    [
      'https://res.services.ai.azure.com/api/projects/p1/openai/v1/responses?api-version=2025-05-01',
      {
        origin: 'https://res.services.ai.azure.com',
        basePath: '/api/projects/p1',
        dialect: 'v1',
        kind: 'foundry',
        project: 'p1',
        operation: 'responses',
      },
    ],
    [
      'https://mistral.eastus2.models.ai.azure.com',
      {
        origin: 'https://mistral.eastus2.models.ai.azure.com',
        basePath: '/v1',
        dialect: 'openai',
        kind: 'foundry',
      },
    ],
    [
      'https://corp.azure-api.net',
      { origin: 'https://corp.azure-api.net', basePath: '', dialect: 'v1', kind: 'apim' },
    ],
    [
      'https://corp.azure-api.net/ai/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21',
      {
        origin: 'https://corp.azure-api.net',
        basePath: '/ai',
        dialect: 'classic',
        kind: 'apim',
        operation: 'chat/completions',
        deployment: 'gpt-4o',
        apiVersion: '2024-10-21',
      },
    ],
    [
      'https://corp.azure-api.net/openai/openai/v1',
      { origin: 'https://corp.azure-api.net', basePath: '/openai', dialect: 'v1', kind: 'apim' },
    ],
    [
      'https://corp.azurefd.net/team',
      { origin: 'https://corp.azurefd.net', basePath: '/team', dialect: 'v1', kind: 'apim' },
    ],
    [
      'https://llm.corp.example/v1',
      { origin: 'https://llm.corp.example', basePath: '/v1', dialect: 'openai', kind: 'other' },
    ],
    [
      'https://llm.corp.example/api/v1/chat/completions',
      {
        origin: 'https://llm.corp.example',
        basePath: '/api/v1',
        dialect: 'openai',
        kind: 'other',
        operation: 'chat/completions',
      },
    ],
    [
      'https://api.openai.com',
      { origin: 'https://api.openai.com', basePath: '/v1', dialect: 'openai', kind: 'other' },
    ],
    [
      'http://localhost:8080',
      { origin: 'http://localhost:8080', basePath: '', dialect: 'v1', kind: 'other' },
    ],
    [
      '127.0.0.1:9000/openai/v1',
      { origin: 'http://127.0.0.1:9000', basePath: '', dialect: 'v1', kind: 'other' },
    ],
    [
      'http://[::1]:9000/v1',
      { origin: 'http://[::1]:9000', basePath: '/v1', dialect: 'openai', kind: 'other' },
    ],
  ])('%s', (text, expected) => {
    const parsed = parseAzureUrl(text);
    expect(parsed).toMatchObject({ ok: true, ...expected });
    for (const optional of ['deployment', 'operation', 'project'] as const) {
      if (!(optional in expected)) expect(parsed).not.toHaveProperty(optional);
    }
  });
});

describe('what cannot be an endpoint is refused with the reason', () => {
  it.each([
    ['', 'empty'],
    ['   ', 'empty'],
    ['0123456789abcdef0123456789abcdef', 'looks like an API key'],
    ['https://0123456789abcdef0123456789abcdef', 'looks like an API key'],
    ['sk-live.0123456789abcdef', 'looks like a key'],
    ['myresource', 'not an address'],
    ['https://<resource>.openai.azure.com', 'placeholder'],
    ['https://{resource}.openai.azure.com', 'placeholder'],
    ['https://YOUR_RESOURCE_NAME.openai.azure.com', 'placeholder'],
    ['https://res.openai .azure.com', 'space'],
    ['https://portal.azure.com/#@corp/resource/x', 'Azure portal'],
    ['https://ai.azure.com/resource/deployments', 'Foundry portal'],
    ['https://oai.azure.com/portal', 'Foundry portal'],
    ['https://management.azure.com/subscriptions/1', 'management API'],
    ['https://learn.microsoft.com/azure', 'documentation'],
    ['https://swedencentral.sip.ai.azure.com', 'SIP'],
    ['eastus.api.azureml.ms;sub;group;project', 'connection string'],
    ['https://openai.azure.com', 'names no resource'],
    ['http://res.openai.azure.com', 'plain http'],
    ['http://llm.corp.example/v1', 'plain http'],
    ['ftp://res.openai.azure.com', 'not an https'],
    ['https://user:pass@res.openai.azure.com', 'user name or password'],
    ['https://res.openai.azure.com?api-key=canary', 'key in its query'],
    ['https://res.openai.azure.com/openai/deployments/', 'ends before the name'],
    ['https://res.openai.azure.com/openai/deployments/a%20b', 'that Azure cannot have'],
    ['https://res.openai.azure.com/%E0%A4%A', 'not properly encoded'],
    ['https://res.openai.azure.com?api-version=soon', 'api-version'],
    ['https://res.services.ai.azure.com/api/projects', 'name of the project'],
    ['https://res.services.ai.azure.com/anthropic/v1/messages', 'Anthropic'],
    ['https://corp.azure-api.net/deployments/x/chat/completions', 'without /openai'],
    ['http://169.254.169.254/metadata', 'metadata service'],
  ])('%s', (text, reason) => {
    const parsed = parseAzureUrl(text);
    expect(parsed.ok).toBe(false);
    if (parsed.ok) return;
    expect(parsed.problem).toContain(reason);
    expect(parsed.hint).not.toBe('');
  });
});

it('takes plain http for other hosts only when it is allowed explicitly', () => {
  expect(parseAzureUrl('http://llm.corp.example/v1', { allowInsecure: true })).toMatchObject({
    ok: true,
    origin: 'http://llm.corp.example',
  });
});

it('never repeats a pasted secret', () => {
  const canary = 'CANARY0123456789abcdefCANARY';
  for (const text of [
    canary,
    `sk-${canary}.x`,
    `https://${canary}@res.openai.azure.com`,
    `https://res.openai.azure.com?key=${canary}`,
    `https://res.openai.azure.com?api-version=${canary}`,
    `https://${canary}`,
  ]) {
    expect(JSON.stringify(parseAzureUrl(text)).toLowerCase()).not.toContain(canary.toLowerCase());
  }
});

it('says what it repaired, and describes what it understood in one line', () => {
  const parsed = parseAzureUrl(
    'res.openai.azure.com/openai/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21',
  );
  expect(parsed).toMatchObject({
    notes: [expect.stringContaining('no scheme'), expect.stringContaining('twice')],
  });
  expect(parsed.ok && describeAzureUrl(parsed)).toBe(
    'Azure OpenAI resource at https://res.openai.azure.com; deployments path, api-version 2024-10-21; deployment gpt-4o; given for chat/completions',
  );
});

it.each([
  [
    'http://127.0.0.1:9100/east',
    "server with Azure's paths at http://127.0.0.1:9100/east; /openai/v1 path",
  ],
  [
    'https://llm.corp.example/v1',
    'OpenAI-compatible server at https://llm.corp.example/v1; paths as OpenAI has them',
  ],
])('tells a server with paths as Azure has them from one with those of OpenAI: %s', (url, text) => {
  const parsed = parseAzureUrl(url);
  expect(parsed.ok && describeAzureUrl(parsed)).toBe(text);
});

it('knows the names and addresses of this machine', () => {
  expect(['localhost', '127.0.0.1', '127.8.8.8', '[::1]', 'sim.localhost'].every(isLoopback)).toBe(
    true,
  );
  expect(['127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1'].some(isLoopback)).toBe(
    false,
  );
});

it('answers any text without throwing, and any accepted address with a clean origin', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true, withFragments: true })),
      (text) => {
        const parsed = parseAzureUrl(text);
        if (!parsed.ok) return;
        expect(new URL(parsed.origin).origin).toBe(parsed.origin);
        expect(parsed.basePath).toMatch(/^(\/[^/]+)*$/);
      },
    ),
    { numRuns: 1000 },
  );
});
