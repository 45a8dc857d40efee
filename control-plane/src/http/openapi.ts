import type { JsonObject } from '@aigateway/contract/records';
import * as z from 'zod';
import type { Route } from './route.ts';

/** Describes the routes in OpenAPI 3.1, from the very schemas that check requests. */
export function openApiDocument(routes: readonly Route[]): JsonObject {
  const paths: { [path: string]: { [method: string]: object } } = {};
  for (const route of routes) {
    for (const path of route.paths) {
      const template = openApiPath(path);
      paths[template] = { ...paths[template], [route.method]: operation(route, path) };
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'AI Gateway management API',
      version: '1',
      description: "LiteLLM's management API, and /manage, which is this gateway's own.",
    },
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-litellm-api-key' },
      },
    },
  } as unknown as JsonObject;
}

/** Express writes `:name` where OpenAPI writes `{name}`. */
export function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

function operation(route: Route, path: string): object {
  const { policy, effect } = route;
  return {
    operationId: `${route.method}${path.replaceAll(/[^A-Za-z0-9]+/g, '_')}`,
    tags: [path.split('/').find((part) => part !== '' && !/^v\d$/.test(part)) ?? 'api'],
    summary: route.summary,
    description: `Who: ${policy.text}.${effect === 'read' ? '' : ` Audited as ${effect.action} ${effect.kind}.`}`,
    security: policy.isPublic ? [] : [{ bearer: [] }, { apiKey: [] }],
    parameters: [...pathParameters(path), ...queryParameters(route.query)],
    ...(route.body && {
      requestBody: { content: { 'application/json': { schema: schemaOf(route.body, 'input') } } },
    }),
    responses: {
      [String(route.status ?? 200)]: {
        description: 'Done',
        ...(route.status !== 204 && {
          content: { 'application/json': { schema: schemaOf(route.answer, 'output') } },
        }),
      },
      default: { description: 'Refused', content: { 'application/json': { schema: errorSchema } } },
    },
  };
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodObject | undefined): object[] {
  return Object.entries(query?.shape ?? {}).map(([name, field]) => ({
    name,
    in: 'query',
    required: !(field as z.ZodType).safeParse(undefined).success,
    schema: schemaOf(field as z.ZodType, 'input'),
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
  });
  return described;
}

const errorSchema = {
  oneOf: [
    {
      type: 'object',
      required: ['error'],
      properties: {
        error: {
          type: 'object',
          required: ['message', 'type', 'param', 'code'],
          properties: {
            message: { type: 'string' },
            type: { type: 'string' },
            param: { type: ['string', 'null'] },
            code: { type: 'string' },
          },
        },
      },
    },
    { type: 'object', required: ['detail'], properties: { detail: {} } },
  ],
};
