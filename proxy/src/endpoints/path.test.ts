import { describe, expect, it } from 'vitest';
import { findEndpoint } from './path.ts';

function found(method: string, url: string) {
  const lookup = findEndpoint(method, url);
  return lookup.kind === 'found'
    ? [lookup.match.endpoint.name, lookup.match.model, lookup.match.id]
    : lookup.kind;
}

describe('findEndpoint', () => {
  it.each([
    ['/v1/chat/completions', 'chat', undefined],
    ['/chat/completions', 'chat', undefined],
    ['/v1/chat/completions/', 'chat', undefined],
    ['//v1//chat/completions', 'chat', undefined],
    ['/openai/v1/chat/completions', 'chat', undefined],
    ['/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21', 'chat', 'gpt-4o'],
    ['/openai/openai/deployments/gpt-4o/chat/completions', 'chat', 'gpt-4o'],
    ['/deployments/gpt-4o/chat/completions', 'chat', 'gpt-4o'],
    ['/v1/deployments/gpt-4o/chat/completions?api-version=x', 'chat', 'gpt-4o'],
    ['/engines/gpt-4o/completions', 'completions', 'gpt-4o'],
    ['/openai/deployments/team%20a/embeddings', 'embeddings', 'team a'],
    ['/openai/deployments/azure/gpt-4o/chat/completions?api-version=x', 'chat', 'azure/gpt-4o'],
    ['/openai/deployments/a/b/c/completions', 'completions', 'a/b/c'],
    ['/v1/openai/deployments/gpt-4o/chat/completions', 'chat', 'gpt-4o'],
    ['/openai/v1/openai/deployments/gpt-4o/embeddings', 'embeddings', 'gpt-4o'],
    ['/models/chat/completions?api-version=2024-05-01-preview', 'chat', undefined],
    ['/v1/v1/responses', 'responses', undefined],
    ['/openai/responses?api-version=2025-04-01-preview', 'responses', undefined],
    ['/openai/deployments/D/responses?api-version=2024-10-21', 'responses', 'D'],
    ['/openai/deployments/D?api-version=2024-10-21/chat/completions', 'chat', 'D'],
    ['/openai/deployments/D?api-version=2024-10-21%2Fchat%2Fcompletions', 'chat', 'D'],
    ['/v1/responses/compact', 'responses.compact', undefined],
    ['/v1/responses/input_tokens', 'responses.input_tokens', undefined],
  ])('takes POST %s', (url, name, model) => {
    expect(found('POST', url)).toEqual([name, model, undefined]);
  });

  it('takes the paths of stored responses', () => {
    expect(found('GET', '/v1/responses/resp_1?include[]=x')).toEqual([
      'responses.get',
      undefined,
      'resp_1',
    ]);
    expect(found('DELETE', '/openai/responses/resp_1')).toEqual([
      'responses.delete',
      undefined,
      'resp_1',
    ]);
    expect(found('POST', '/v1/responses/resp_1/cancel')).toEqual([
      'responses.cancel',
      undefined,
      'resp_1',
    ]);
    expect(found('GET', '/responses/resp_1/input_items')).toEqual([
      'responses.input_items',
      undefined,
      'resp_1',
    ]);
  });

  it.each([
    '/v1/../admin',
    '/v1/%2e%2e/chat/completions',
    '/v1/chat%2fcompletions',
    '/v1\\chat/completions',
    '/v1/./chat/completions',
    '/v1/chat/completions/extra',
    '/v2/chat/completions',
    `/openai/deployments/${'a/'.repeat(20)}chat/completions`,
    '/openai/deployments/%zz/chat/completions',
    '/v1/moderations',
    'http://elsewhere/v1/chat/completions',
    '*',
  ])('does not know POST %s', (url) => {
    expect(found('POST', url)).toBe('unknown');
  });

  it('tells a wrong method from an unknown path', () => {
    expect(findEndpoint('GET', '/v1/chat/completions')).toEqual({
      kind: 'wrong-method',
      allowed: ['POST'],
    });
    expect(findEndpoint('PUT', '/v1/responses/resp_1')).toEqual({
      kind: 'wrong-method',
      allowed: ['GET', 'DELETE'],
    });
  });
});
