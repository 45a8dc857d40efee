import type { DeploymentRecord, DialectName, Operation } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { modelsPath, setsModelInBody, supports, upstreamPath } from './dialect.ts';

function deployment(
  dialect: DialectName,
  change: Partial<DeploymentRecord> & { basePath?: string } = {},
): DeploymentRecord {
  const { basePath = '', ...rest } = change;
  return {
    id: 'd1',
    model: 'chat',
    deployment: 'gpt-4o-std',
    resource: { id: 'r1', origin: 'https://contoso.openai.azure.com', basePath },
    dialect,
    credential: 'c1',
    priority: 0,
    capacity: 'standard',
    tags: [],
    drop: [],
    defaults: {},
    headers: {},
    facts: {},
    litellmModel: 'azure/gpt-4o-std',
    ...rest,
  };
}

function pathOf(
  record: DeploymentRecord,
  operation: Operation,
  suffix = '',
  query = '',
  name = record.deployment,
): string {
  return upstreamPath(record, name, { operation, suffix, query });
}

const classic = deployment('classic', { apiVersion: '2025-04-01-preview' });
const v1 = deployment('v1');
const preview = deployment('v1', { apiVersion: 'preview' });
const openai = deployment('openai', { basePath: '/api/v1' });

describe('upstreamPath', () => {
  const version = '?api-version=2025-04-01-preview';
  it.each<[string, DeploymentRecord, Operation, string, string]>([
    [
      'classic chat',
      classic,
      'chat',
      '',
      `/openai/deployments/gpt-4o-std/chat/completions${version}`,
    ],
    [
      'classic completions',
      classic,
      'completions',
      '',
      `/openai/deployments/gpt-4o-std/completions${version}`,
    ],
    [
      'classic embeddings',
      classic,
      'embeddings',
      '',
      `/openai/deployments/gpt-4o-std/embeddings${version}`,
    ],
    ['classic responses is un-deployed', classic, 'responses', '', `/openai/responses${version}`],
    [
      'classic stored response',
      classic,
      'responses',
      '/resp_1',
      `/openai/responses/resp_1${version}`,
    ],
    [
      'classic cancel',
      classic,
      'responses',
      '/resp_1/cancel',
      `/openai/responses/resp_1/cancel${version}`,
    ],
    [
      'classic items',
      classic,
      'responses',
      '/resp_1/input_items',
      `/openai/responses/resp_1/input_items${version}`,
    ],
    ['v1 chat', v1, 'chat', '', '/openai/v1/chat/completions'],
    ['v1 completions', v1, 'completions', '', '/openai/v1/completions'],
    ['v1 embeddings', v1, 'embeddings', '', '/openai/v1/embeddings'],
    ['v1 responses', v1, 'responses', '', '/openai/v1/responses'],
    ['v1 compact', v1, 'responses', '/compact', '/openai/v1/responses/compact'],
    ['v1 input tokens', v1, 'responses', '/input_tokens', '/openai/v1/responses/input_tokens'],
    ['v1 stored response', v1, 'responses', '/resp_1', '/openai/v1/responses/resp_1'],
    ['v1 preview', preview, 'responses', '', '/openai/v1/responses?api-version=preview'],
    ['openai chat', openai, 'chat', '', '/api/v1/chat/completions'],
    ['openai responses', openai, 'responses', '/resp_1/cancel', '/api/v1/responses/resp_1/cancel'],
    ['openai embeddings', openai, 'embeddings', '', '/api/v1/embeddings'],
  ])('builds the path of %s', (_, record, operation, suffix, expected) => {
    expect(pathOf(record, operation, suffix)).toBe(expected);
  });

  it('never sends a dated api-version to v1', () => {
    expect(pathOf(deployment('v1', { apiVersion: '2024-10-21' }), 'chat')).toBe(
      '/openai/v1/chat/completions',
    );
  });

  it('keeps a project path in front', () => {
    expect(pathOf(deployment('v1', { basePath: '/api/projects/p' }), 'responses')).toBe(
      '/api/projects/p/openai/v1/responses',
    );
  });

  it('falls back to the last dated GA version', () => {
    expect(pathOf(deployment('classic'), 'chat')).toBe(
      '/openai/deployments/gpt-4o-std/chat/completions?api-version=2024-10-21',
    );
  });

  it('fills in and encodes the name of a wildcard deployment', () => {
    const wildcard = deployment('classic', { deployment: '*', apiVersion: 'V' });
    expect(pathOf(wildcard, 'chat', '', '', 'my model+é')).toBe(
      '/openai/deployments/my%20model%2B%C3%A9/chat/completions?api-version=V',
    );
  });

  it.each(['..', '.', '../x', 'a/b', 'a\\b', '', '\ud800'])(
    'refuses the deployment name %j, which would leave its path',
    (name) => {
      expect(() =>
        pathOf(deployment('classic', { deployment: '*' }), 'chat', '', '', name),
      ).toThrow(expect.objectContaining({ code: 'model_not_found' }));
    },
  );

  it.each(['/..', '/resp_1/../../x', '/a/b/c/d', '//', 'resp_1', '/./cancel'])(
    'refuses the suffix %j, which would leave the responses path',
    (suffix) => {
      expect(() => pathOf(v1, 'responses', suffix)).toThrow(
        expect.objectContaining({ code: 'object_not_found' }),
      );
    },
  );

  it('encodes unusual ids', () => {
    expect(pathOf(v1, 'responses', '/a:b?c#d/cancel')).toBe(
      '/openai/v1/responses/a%3Ab%3Fc%23d/cancel',
    );
  });

  it('passes the query parameters of stored responses', () => {
    const query =
      'include[]=a&include%5B%5D=b&stream=true&starting_after=7&limit=5&after=x&order=asc';
    expect(pathOf(v1, 'responses', '/resp_1', query)).toBe(`/openai/v1/responses/resp_1?${query}`);
    expect(pathOf(classic, 'responses', '/resp_1', 'limit=5')).toBe(
      '/openai/responses/resp_1?api-version=2025-04-01-preview&limit=5',
    );
  });

  it.each([
    'api-version=2023-05-15',
    'api%2Dversion=2023-05-15',
    'API-Version=2023-05-15',
    'api_version=x&key=sk-1',
    'api-key=sk-1&apikey=x&subscription-key=y',
    'api-version=2024-10-21/chat/completions',
    'deployment=other&model=other',
    'access_token=x&code=y',
    '%E0%A4%A=x',
    '&',
  ])('withholds the caller’s %s', (query) => {
    expect(pathOf(v1, 'responses', '', query)).toBe('/openai/v1/responses');
    expect(pathOf(classic, 'chat', '', query)).toBe(
      '/openai/deployments/gpt-4o-std/chat/completions?api-version=2025-04-01-preview',
    );
  });

  it('never leaves the resource’s path, whatever name, id and query come', () => {
    const wildcard = deployment('classic', { deployment: '*', apiVersion: 'V' });
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(text, text, (name, id) => {
        for (const build of [
          () => pathOf(wildcard, 'chat', '', '', name),
          () => pathOf(wildcard, 'responses', `/${id}`),
        ]) {
          let path: string;
          try {
            path = build();
          } catch {
            continue;
          }
          const resolved = new URL(path, 'https://h').pathname;
          expect(resolved).toMatch(
            /^\/openai\/(deployments\/[^/]+\/chat\/completions|responses(\/[^/]+){1,2})$/,
          );
          expect(new URL(path, 'https://h').searchParams.getAll('api-version')).toEqual(['V']);
        }
      }),
    );
  });
});

describe('dialects', () => {
  it.each<[DialectName, Operation, boolean]>([
    ['classic', 'chat', false],
    ['classic', 'completions', false],
    ['classic', 'embeddings', false],
    ['classic', 'responses', true],
    ['v1', 'chat', true],
    ['v1', 'responses', true],
    ['openai', 'embeddings', true],
  ])('%s %s names the deployment in the body: %s', (dialect, operation, expected) => {
    expect(setsModelInBody(dialect, operation)).toBe(expected);
  });

  it('lists models where each dialect keeps them', () => {
    expect([classic, v1, preview, openai].map(modelsPath)).toEqual([
      '/openai/models?api-version=2025-04-01-preview',
      '/openai/v1/models',
      '/openai/v1/models?api-version=preview',
      '/api/v1/models',
    ]);
  });

  it('offers compaction and token counts on v1 and openai only', () => {
    for (const suffix of ['/compact', '/input_tokens']) {
      expect(supports('classic', 'responses', suffix)).toBe(false);
      expect(supports('v1', 'responses', suffix)).toBe(true);
      expect(supports('openai', 'responses', suffix)).toBe(true);
    }
    expect(supports('classic', 'responses', '/resp_1/cancel')).toBe(true);
    expect(supports('classic', 'chat', '')).toBe(true);
    expect(supports('v1', 'chat', '/x')).toBe(false);
  });
});
