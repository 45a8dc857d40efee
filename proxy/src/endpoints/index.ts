import type { Endpoint } from './endpoint.ts';

function create(name: string, path: string, operation: Endpoint['operation']): Endpoint {
  return { name, method: 'POST', path, operation, kind: 'create', metered: true, suffix: '' };
}

function responses(
  method: Endpoint['method'],
  kind: Endpoint['kind'],
  suffix: string,
  name: string,
): Endpoint {
  const metered = suffix === '/compact';
  return {
    name,
    method,
    path: `/responses${suffix}`,
    operation: 'responses',
    kind,
    metered,
    suffix,
  };
}

/** The endpoint that runs an operation. */
export function createEndpoint(operation: Endpoint['operation']): Endpoint | undefined {
  return endpoints.find(
    (endpoint) => endpoint.kind === 'create' && endpoint.operation === operation,
  );
}

/** Every endpoint that leads to a model. Adding one is adding a row. */
export const endpoints: readonly Endpoint[] = [
  create('chat', '/chat/completions', 'chat'),
  create('completions', '/completions', 'completions'),
  create('embeddings', '/embeddings', 'embeddings'),
  create('responses', '/responses', 'responses'),
  responses('POST', 'auxiliary', '/compact', 'responses.compact'),
  responses('POST', 'auxiliary', '/input_tokens', 'responses.input_tokens'),
  responses('GET', 'stored', '/:id', 'responses.get'),
  responses('DELETE', 'stored', '/:id', 'responses.delete'),
  responses('POST', 'stored', '/:id/cancel', 'responses.cancel'),
  responses('GET', 'stored', '/:id/input_items', 'responses.input_items'),
];
