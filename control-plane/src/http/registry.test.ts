import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { routes } from '../routes.ts';
import { methodsAt } from './methods.ts';
import { openApiDocument, openApiPath } from './openapi.ts';
import { adminApiPage } from './reference-page.ts';
import { checkRoutes } from './registry.ts';
import { policies, type Route, route } from './route.ts';

const plain = route({
  method: 'post',
  paths: ['/thing/new'],
  summary: 'Makes a thing',
  policy: policies.admin,
  effect: { action: 'created', kind: 'key' },
  answer: z.object({}),
  handle: () => Promise.resolve({ answer: {} }),
});

describe('the list of routes', () => {
  it('takes no route without a policy, or without a word on whether it writes', () => {
    const { policy: _policy, ...open } = plain;
    const { effect: _effect, ...silent } = plain;
    expect(() => checkRoutes([open as Route])).toThrow('has no policy');
    expect(() => checkRoutes([silent as Route])).toThrow('does not say whether it writes');
    expect(() => checkRoutes([{ ...plain, method: 'get' }])).toThrow('must not write');
    expect(() => checkRoutes([plain, plain])).toThrow('declared twice');
    expect(() => checkRoutes([plain])).not.toThrow();
  });

  it('takes all the routes there are', () => {
    expect(() => checkRoutes(routes)).not.toThrow();
  });
});

it('tells the methods of a path, patterns among them', () => {
  const at = methodsAt(routes);
  expect(at('/key/generate')).toEqual(['POST']);
  expect(at('/manage/projects/any')).toEqual(['GET', 'HEAD', 'PATCH', 'DELETE']);
  expect(at('/team/new')).toEqual(['POST', 'PATCH']);
  expect(at('/openapiXjson')).toEqual([]);
  expect(at('/key/generate/more')).toEqual([]);
});

describe('the description in OpenAPI', () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(routes)));

  it('has every route under every path, and nothing else', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method} ${path}`),
    );
    const declared = routes.flatMap(({ method, paths }) =>
      paths.map((path) => `${method} ${openApiPath(path)}`),
    );
    expect(described.toSorted()).toEqual(declared.toSorted());
  });

  it('names every operation once, and describes bodies, parameters and answers', () => {
    const operations = Object.values(document.paths).flatMap(
      (methods) => Object.values(methods as object) as { [member: string]: unknown }[],
    );
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    const generate = document.paths['/key/generate'].post;
    const body = generate.requestBody.content['application/json'].schema;
    expect(body.properties.max_budget.anyOf[0]).toMatchObject({ type: 'number', minimum: 0 });
    const answer = generate.responses['200'].content['application/json'].schema;
    expect(answer.required).toContain('token_id');
    expect(document.paths['/key/{key}/regenerate'].post.parameters[0]).toMatchObject({
      name: 'key',
      in: 'path',
    });
    const list = document.paths['/key/list'].get.parameters;
    expect(list.every(({ required }: { required: boolean }) => !required)).toBe(true);
  });
});

it('matches the page in docs/reference; if not, run: node scripts/reference.ts', () => {
  const page = new URL('../../../docs/reference/admin-api.md', import.meta.url);
  expect(readFileSync(page, 'utf8')).toBe(adminApiPage(routes));
});
