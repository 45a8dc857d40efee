/**
 * The one table of errors the gateway itself answers with.
 *
 * `status` and the meaning of `type` follow LiteLLM where it has the case (its clients branch on them), except that budgets
 * answer 429 unless configured otherwise. `layer` names the step that refused; it travels in the `x-aigateway-layer` header.
 * Messages here are the public text: they may hold `{placeholders}` filled from values that are safe to show to the caller.
 */
export type ErrorLayer =
  | 'connection'
  | 'authenticate'
  | 'read'
  | 'authorize'
  | 'limit'
  | 'route'
  | 'bridge'
  | 'upstream'
  | 'gateway';

export type ErrorDefinition = {
  readonly status: number;
  readonly type: string;
  readonly layer: ErrorLayer;
  readonly message: string;
};

export const errorDefinitions = {
  address_not_allowed: {
    status: 403,
    type: 'auth_error',
    layer: 'connection',
    message:
      'This gateway takes no calls from your address. Call from a network that it allows, or ask its administrator to add yours.',
  },
  missing_key: {
    status: 401,
    type: 'auth_error',
    layer: 'authenticate',
    message:
      'No API key passed in. Send it as "Authorization: Bearer <key>", "api-key", "x-api-key", "x-gateway-key" or "x-litellm-api-key".',
  },
  invalid_api_key: {
    status: 401,
    type: 'auth_error',
    layer: 'authenticate',
    message:
      'The API key was refused. Check that the key is complete and was issued by this gateway.',
  },
  too_many_wrong_keys: {
    status: 429,
    type: 'throttling_error',
    layer: 'authenticate',
    message:
      'Too many different wrong keys came from this address. Check the key, and try again in {seconds} seconds.',
  },
  conflicting_keys: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'authenticate',
    message: 'Two different gateway keys came with this request. Send exactly one.',
  },
  expired_key: {
    status: 401,
    type: 'expired_key',
    layer: 'authenticate',
    message: 'This API key has expired. Ask for a new one.',
  },
  blocked_key: {
    status: 401,
    type: 'auth_error',
    layer: 'authenticate',
    message: 'This API key is blocked. Ask the administrator of this gateway.',
  },
  key_lookup_unavailable: {
    status: 503,
    type: 'internal_server_error',
    layer: 'authenticate',
    message:
      'The gateway cannot tell at the moment whether this API key is one of its own. Try again shortly.',
  },
  not_found: {
    status: 404,
    type: 'invalid_request_error',
    layer: 'authenticate',
    message: 'This gateway has no such path. Check the base URL and the path.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    layer: 'authenticate',
    message: 'This path does not take the method {method}. Allowed: {allowed}.',
  },
  body_too_large: {
    status: 413,
    type: 'invalid_request_error',
    layer: 'read',
    message: 'The request body is larger than the {limit} bytes that this gateway takes.',
  },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    layer: 'read',
    message: 'This path takes {expected}. Set the content-type header accordingly.',
  },
  unsupported_encoding: {
    status: 415,
    type: 'invalid_request_error',
    layer: 'read',
    message: 'Compressed request bodies are not taken. Send the body without content-encoding.',
  },
  invalid_body: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'read',
    message: 'The request cannot be read: {reason}.',
  },
  invalid_parameter: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'read',
    message: '{reason}',
  },
  missing_model: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'read',
    message:
      'The request names no model. Set "model" to one of the names that GET /v1/models lists.',
  },
  forbidden_parameter: {
    status: 403,
    type: 'auth_error',
    layer: 'read',
    message:
      'Rejected Request: "{param}" may not be set by callers. Where a request goes and what it costs is decided by the gateway.',
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    layer: 'read',
    message: 'The request body did not arrive in time.',
  },
  upgrade_unsupported: {
    status: 426,
    type: 'invalid_request_error',
    layer: 'connection',
    message:
      'This gateway takes no WebSocket here. Send the request as an ordinary POST; streams are server-sent events.',
  },
  client_closed: {
    status: 499,
    type: 'invalid_request_error',
    layer: 'connection',
    message: 'The caller closed the connection.',
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    layer: 'authorize',
    message:
      'The model "{model}" does not exist or this key may not use it. GET /v1/models lists what it may use.',
  },
  model_access_denied: {
    status: 403,
    type: 'key_model_access_denied',
    layer: 'authorize',
    message: 'This key may not use the model "{model}". GET /v1/models lists what it may use.',
  },
  customer_model_access_denied: {
    status: 403,
    type: 'customer_model_access_denied',
    layer: 'authorize',
    message: 'The customer "{customer}" may not use the model "{model}".',
  },
  blocked_customer: {
    status: 403,
    type: 'auth_error',
    layer: 'authorize',
    message:
      'The customer "{customer}" is blocked. Ask the administrator of this gateway to unblock it.',
  },
  endpoint_access_denied: {
    status: 403,
    type: 'auth_error',
    layer: 'authorize',
    message: 'This key may not call {route}.',
  },
  policy_violation: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'authorize',
    message: '{reason}',
  },
  object_not_found: {
    status: 404,
    type: 'invalid_request_error',
    layer: 'authorize',
    message: 'No {kind} with id "{id}" is known for this key.',
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'throttling_error',
    layer: 'limit',
    message:
      'Rate limit exceeded for {scope}: {id}. Limit type: {limitType}. Current limit: {limit}, Remaining: {remaining}.{ofRequest} Limit resets at: {resetsAt}.',
  },
  budget_exceeded: {
    status: 429,
    type: 'budget_exceeded',
    layer: 'limit',
    message:
      'Budget has been exceeded! {scope}: {id}. Current cost: {spent}, Max budget: {budget}. This request is estimated at: {estimate}. The budget resets at: {resetsAt}.',
  },
  limiter_unavailable: {
    status: 503,
    type: 'internal_server_error',
    layer: 'limit',
    message:
      'The gateway cannot tell at the moment what is left of your limits. Try again shortly.',
  },
  accounting_unavailable: {
    status: 503,
    type: 'internal_server_error',
    layer: 'limit',
    message: 'The gateway cannot account for new requests at the moment. Try again shortly.',
  },
  not_ready: {
    status: 503,
    type: 'internal_server_error',
    layer: 'gateway',
    message: 'The gateway is starting or stopping. Try again shortly.',
  },
  control_plane_unavailable: {
    status: 503,
    type: 'internal_server_error',
    layer: 'gateway',
    message:
      'The control plane, which answers this path, cannot be reached at the moment. Try again shortly.',
  },
  all_deployments_in_cooldown: {
    status: 429,
    type: 'all_deployments_in_cooldown',
    layer: 'route',
    message:
      'No deployments available for selected model, Try again in {seconds} seconds. Model: "{model}".',
  },
  no_deployment: {
    status: 503,
    type: 'internal_server_error',
    layer: 'route',
    message: 'No deployment of the model "{model}" can take this request: {reason}.',
  },
  context_length_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'route',
    message:
      'ContextWindowExceededError: the request is longer than any deployment of the model "{model}" takes. Shorten it.',
  },
  operation_unsupported: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'route',
    message:
      'The model "{model}" does not answer this operation. GET /v1/model/info lists the mode of each model.',
  },
  bridge_unsupported: {
    status: 400,
    type: 'invalid_request_error',
    layer: 'bridge',
    message:
      'The model behind this name is reached through {operation}, which cannot carry {param}: {reason}.',
  },
  upstream_auth: {
    status: 502,
    type: 'internal_server_error',
    layer: 'upstream',
    message:
      "The upstream refused the gateway's own credential. This is not about your key: tell the administrator of this gateway.",
  },
  upstream_unavailable: {
    status: 502,
    type: 'internal_server_error',
    layer: 'upstream',
    message: 'No upstream gave an answer ({reason}).',
  },
  upstream_timeout: {
    status: 504,
    type: 'internal_server_error',
    layer: 'upstream',
    message: 'The upstream did not answer in time.',
  },
  upstream_error: {
    status: 502,
    type: 'internal_server_error',
    layer: 'upstream',
    message: 'The upstream failed: {reason}.',
  },
  stream_interrupted: {
    status: 502,
    type: 'internal_server_error',
    layer: 'upstream',
    message: 'The upstream stopped in the middle of its answer. What came before is incomplete.',
  },
  internal_error: {
    status: 500,
    type: 'internal_server_error',
    layer: 'gateway',
    message: 'The gateway failed on this request. Give the x-request-id to its administrator.',
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof errorDefinitions;

/** OpenAI's error envelope. Every field is always there; SDKs read all four. */
export type ErrorEnvelope = {
  error: { message: string; type: string; param: string | null; code: string | null };
};

/** Public text of an error: the table's message with its placeholders filled; a missing value leaves the placeholder's name. */
export function errorMessage(
  code: ErrorCode,
  values: Record<string, string | number> = {},
): string {
  return errorDefinitions[code].message.replace(/\{(\w+)\}/g, (_, name: string) =>
    String(values[name] ?? name),
  );
}
