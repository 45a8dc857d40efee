import { operationOf, suffixOf, type Capability } from '../operations/capability.ts';
import type { Endpoint } from './endpoint.ts';

function create(name: string, path: string, operation: Endpoint['operation']): Endpoint {
  return {
    name,
    method: 'POST',
    path,
    operation,
    capability: operation,
    kind: 'create',
    metered: true,
    suffix: '',
  };
}

/** A part of the responses operation; its capability's name is the endpoint's as well. */
function auxiliary(capability: Capability, metered: boolean, ownPath?: string): Endpoint {
  const suffix = suffixOf(capability) ?? '';
  const path = ownPath ?? `/responses${suffix}`;
  const operation = operationOf(capability);
  const kind = 'auxiliary';
  return { name: capability, method: 'POST', path, operation, capability, kind, metered, suffix };
}

function stored(method: Endpoint['method'], suffix: string, name: string): Endpoint {
  return {
    name,
    method,
    path: `/responses${suffix}`,
    operation: 'responses',
    capability: 'responses',
    kind: 'stored',
    metered: false,
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
  auxiliary('responses.compact', true),
  auxiliary('responses.input_tokens', false),
  auxiliary('token_counter', false, '/utils/token_counter'),
  stored('GET', '/:id', 'responses.get'),
  stored('DELETE', '/:id', 'responses.delete'),
  stored('POST', '/:id/cancel', 'responses.cancel'),
  stored('GET', '/:id/input_items', 'responses.input_items'),
];
