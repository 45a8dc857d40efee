import { isObject } from '@aigateway/contract/json';
import {
  errorMessage,
  errorDefinitions,
  type ErrorCode,
  type ErrorEnvelope,
} from '@aigateway/contract/errors';
import type { DeploymentRecord, FailureClass, JsonObject } from '@aigateway/contract/records';
import { operationOf, type Capability } from '../operations/capability.ts';
import { announcedWaitMs } from './announced-wait.ts';
import { codeOf, readErrorBody, readErrorValue, type UpstreamError } from './error-body.ts';
import type { UpstreamAnswerHeaders } from './headers.ts';
import { redact } from './redact.ts';
import { readRefusedParameter, type RefusedParameter } from './refused-parameter.ts';
import type { TransportError } from './transport.ts';

/**
 * What may be done about a failure.
 *
 * - `never`: the answer would be the same everywhere, or the caller must decide
 * - `other-deployment`: this one will refuse again, another may not
 * - `same-or-other`: passing; another at once, or the same after the wait
 * - `repaired`: the same deployment once the named part of the request is changed
 */
export type RetryAdvice = 'never' | 'other-deployment' | 'same-or-other' | 'repaired';

type KindRules = { retry: RetryAdvice; blame: boolean; failureClass: FailureClass };

const failureKinds = {
  /** Requests or tokens per minute of a standard deployment. */
  rate_limited: { retry: 'same-or-other', blame: true, failureClass: 'RateLimitError' },
  /** A PTU deployment is full: spill at once. */
  capacity_exhausted: { retry: 'same-or-other', blame: true, failureClass: 'RateLimitError' },
  /** The shared pool behind the deployment is under pressure. */
  no_capacity: { retry: 'same-or-other', blame: true, failureClass: 'RateLimitError' },
  /** A quota that no short wait restores. */
  quota_exhausted: { retry: 'other-deployment', blame: true, failureClass: 'RateLimitError' },
  /** 5xx, an HTML page, nothing: the backend or something before it failed. */
  unavailable: { retry: 'same-or-other', blame: true, failureClass: 'InternalServerError' },
  /** No connection, or it broke. */
  unreachable: { retry: 'same-or-other', blame: true, failureClass: 'ServiceUnavailableError' },
  timeout: { retry: 'same-or-other', blame: true, failureClass: 'TimeoutError' },
  /** The gateway's own credential is refused. */
  auth: { retry: 'other-deployment', blame: true, failureClass: 'AuthenticationError' },
  /** Firewall, private endpoint or DNS keep the gateway out. */
  network_refused: { retry: 'other-deployment', blame: true, failureClass: 'AuthenticationError' },
  /** Suspended by the provider for a while. */
  resource_blocked: { retry: 'other-deployment', blame: true, failureClass: 'AuthenticationError' },
  deployment_missing: { retry: 'other-deployment', blame: true, failureClass: 'NotFoundError' },
  content_filter: { retry: 'never', blame: false, failureClass: 'ContentPolicyViolationError' },
  context_window: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  /** Too long for this PTU deployment, not for the model: a standard one takes it. */
  ptu_context_window: { retry: 'other-deployment', blame: false, failureClass: 'BadRequestError' },
  /** The deployment does not answer this operation: bridge, or go elsewhere. */
  operation_unsupported: {
    retry: 'other-deployment',
    blame: false,
    failureClass: 'BadRequestError',
  },
  /** A known parameter, or a value of it, that this model does not take; `refused` says which. */
  parameter_unsupported: { retry: 'repaired', blame: false, failureClass: 'BadRequestError' },
  /** A field that the upstream does not know. */
  unknown_parameter: { retry: 'repaired', blame: false, failureClass: 'BadRequestError' },
  /** The configured api-version is too old for the request, retired, or not for this dialect. */
  api_version: { retry: 'other-deployment', blame: false, failureClass: 'BadRequestError' },
  /** Reasoning encrypted by another resource: back to it, or without it. */
  encrypted_content: { retry: 'repaired', blame: false, failureClass: 'BadRequestError' },
  previous_response_missing: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  item_missing: { retry: 'never', blame: false, failureClass: 'NotFoundError' },
  conflict: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  payload_too_large: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  header_too_large: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  bad_request: { retry: 'never', blame: false, failureClass: 'BadRequestError' },
  /** Ended by the gateway itself. */
  aborted: { retry: 'never', blame: false, failureClass: 'InternalServerError' },
} as const satisfies Record<string, KindRules>;

export type FailureKind = keyof typeof failureKinds;

/** One failed attempt, understood. `message`, `code`, `type` and `param` may be shown to the caller. */
export type UpstreamFailure = {
  kind: FailureKind;
  /** The upstream's status, or what it would have been for errors inside a stream; 0 when no answer came. */
  status: number;
  retry: RetryAdvice;
  /** Whether the breaker counts it: faults of the backend, never of a request. */
  blame: boolean;
  /** The announced wait in milliseconds; null when none was announced. */
  waitMs: number | null;
  failureClass: FailureClass;
  /** Empty when the upstream said nothing usable. */
  message: string;
  code: string | null;
  type: string | null;
  param: string | null;
  /** Present exactly for `parameter_unsupported` and `unknown_parameter`. */
  refused?: RefusedParameter;
  /** Only for `auth`: whether a new token could help. */
  renew?: boolean;
  /** Only for `content_filter`: Azure's categories and severities as they came. */
  filterDetails?: Record<string, unknown>;
  /** Of the answer that the failure came with, where there was one. */
  answerHeaders?: UpstreamAnswerHeaders;
};

export type FailureContext = {
  /** What was asked for. */
  capability: Capability;
  capacity: DeploymentRecord['capacity'];
  /** Deployment and public model name, so that the first is not shown. */
  names?: { deployment: string; model: string };
  /** The deployment's name came from the caller (a `*`): that it does not exist is no fault of the backend. */
  isWildcard?: boolean;
  /** Milliseconds since the epoch, for waits announced as a date. */
  now: number;
};

/** A suspended resource answers the same for long and says nothing about how long: look again after a quarter of an hour. */
const blockedWaitMs = 900_000;

/**
 * Understands an upstream's answer that is not a success.
 *
 * @param headers - names in lower case
 * @param body - as text, at least its first kilobytes
 */
export function classifyFailure(
  status: number,
  headers: UpstreamAnswerHeaders,
  body: string,
  context: FailureContext,
): UpstreamFailure {
  return failureOf(status, headers, readErrorBody(body), context);
}

/**
 * Understands an error inside a 200 stream: `error` events (nested and flat), `response.failed`, a chat chunk with `error`.
 *
 * @param event - the event's `data`, parsed or as text
 * @returns null for events that are no errors
 */
export function classifyStreamError(
  event: JsonObject | string,
  context: FailureContext,
): UpstreamFailure | null {
  const source = streamErrorSource(typeof event === 'string' ? parsed(event) : event);
  if (source === null) return null;
  const error = readErrorValue(source);
  const headers =
    isObject(source) && isObject(source['headers']) ? textValues(source['headers']) : {};
  return failureOf(streamErrorStatus(source, error), headers, error, context);
}

/** The same understanding of a call that ended without an answer. */
export function failureOfTransport(error: TransportError): UpstreamFailure {
  const failure = (kind: FailureKind): UpstreamFailure => ({
    ...rulesOf(kind, 0),
    kind,
    status: 0,
    waitMs: null,
    message: '',
    code: null,
    type: null,
    param: null,
  });
  switch (error.kind) {
    case 'connect':
    case 'reset':
    case 'protocol':
      return failure('unreachable');
    case 'connect-timeout':
    case 'headers-timeout':
    case 'body-timeout':
      return failure('timeout');
    case 'aborted':
    case 'handler':
    case 'request':
      return failure('aborted');
  }
}

function failureOf(
  status: number,
  headers: UpstreamAnswerHeaders,
  error: UpstreamError,
  context: FailureContext,
): UpstreamFailure {
  const finding = findKind(status, error, context);
  const { kind } = finding;
  const announced = announcedWaitMs(headers, error.message, context.now);
  const failure: UpstreamFailure = {
    ...rulesOf(kind, status),
    kind,
    status,
    waitMs: kind === 'resource_blocked' ? (announced ?? blockedWaitMs) : announced,
    message: redact(error.message, context.names),
    code: labelOf(error.code),
    type: labelOf(error.type),
    param: labelOf(error.param),
  };
  if (kind === 'deployment_missing' && context.isWildcard === true) failure.blame = false;
  if (finding.refused !== undefined) failure.refused = finding.refused;
  if (finding.renew !== undefined) failure.renew = finding.renew;
  if (kind === 'content_filter' && error.filterDetails !== null) {
    failure.filterDetails = error.filterDetails;
  }
  return failure;
}

/** Codes, types and paths into a request are short words; anything else has no place in their fields. */
function labelOf(text: string | null): string | null {
  return text !== null && /^[\w .[\]-]{1,128}$/.test(text) ? text : null;
}

function rulesOf(kind: FailureKind, status: number): KindRules {
  const rules: KindRules = failureKinds[kind];
  if (kind !== 'unavailable') return rules;
  if (status === 502) return { ...rules, failureClass: 'BadGatewayError' };
  return status === 503 ? { ...rules, failureClass: 'ServiceUnavailableError' } : rules;
}

type Finding = { kind: FailureKind; refused?: RefusedParameter; renew?: boolean };

const filterCodes = new Set([
  'content_filter',
  'content_policy_violation',
  'contentfilter',
  'responsibleaipolicyviolation',
]);
const filterText =
  /content management policy|rejected as a result of our safety system|flagged as potentially violating/i;

function findKind(status: number, error: UpstreamError, context: FailureContext): Finding {
  const code = error.code?.toLowerCase() ?? '';
  const isFiltered =
    filterCodes.has(code) ||
    error.innerCode?.toLowerCase() === 'responsibleaipolicyviolation' ||
    filterText.test(error.message);
  if (isFiltered && status >= 400 && status < 500) return { kind: 'content_filter' };

  switch (status) {
    case 400:
    case 422:
      return findBadRequest(error, code, context);
    case 401:
      return { kind: 'auth', renew: code !== 'permissiondenied' };
    case 402:
      return { kind: 'quota_exhausted' };
    case 403:
      return findForbidden(error);
    case 404:
      return findMissing(error, code, context);
    case 405:
      return { kind: 'operation_unsupported' };
    // Between the gateway and whatever stands before the upstream. A caller who got them would log in to a proxy (407), or send again (421).
    case 407:
    case 421:
    case 426:
      return { kind: 'network_refused' };
    case 408:
    case 504:
      return { kind: 'timeout' };
    case 409:
      return { kind: 'conflict' };
    case 413:
      return { kind: 'payload_too_large' };
    case 429:
      return { kind: findThrottled(error, code, context) };
    case 431:
      return { kind: 'header_too_large' };
    default: {
      // 424 is a failing model behind the endpoint, 499 an upstream that gave up on us; redirects are never followed.
      const isCallers = status > 400 && status < 499 && status !== 424;
      return { kind: isCallers ? 'bad_request' : 'unavailable' };
    }
  }
}

/** Only the beginning is the upstream's own, see {@link operationText}. */
const versionText =
  /^api version not supported|^[\w .:/-]{1,100} is enabled only for api versions/i;

const contextText =
  /maximum context length|exceeds the context window|context_length_exceeded|input tokens exceed the configured limit/i;

function findBadRequest(error: UpstreamError, code: string, context: FailureContext): Finding {
  const { message } = error;
  if (code === 'context_length_exceeded' || contextText.test(message)) {
    const isPtu = context.capacity === 'ptu' || /provisioned deployment/i.test(message);
    return { kind: isPtu ? 'ptu_context_window' : 'context_window' };
  }
  if (code === 'invalid_encrypted_content') return { kind: 'encrypted_content' };
  const object = findMissingObject(message, code);
  if (object !== undefined) return { kind: object };
  if (isOperationRefusal(message, code)) return { kind: 'operation_unsupported' };
  // It stands where it must: whoever complains of it does not know it.
  if (context.capability === 'responses.compaction_trigger' && /compaction_trigger/.test(message)) {
    return { kind: 'operation_unsupported' };
  }
  const refused = readRefusedParameter(error);
  if (refused !== undefined) {
    const isUnknown = refused.what === 'parameter' && refused.isUnknown;
    return { kind: isUnknown ? 'unknown_parameter' : 'parameter_unsupported', refused };
  }
  if (code === 'unsupportedapiversion' || versionText.test(message)) return { kind: 'api_version' };
  if (/tenant provided in token|custom subdomain for token authentication/i.test(message)) {
    return { kind: 'auth', renew: false };
  }
  if (isDeploymentRefusal(code)) return { kind: 'deployment_missing' };
  return { kind: 'bad_request' };
}

function findForbidden(error: UpstreamError): Finding {
  const { message } = error;
  if (/virtual network|firewall|private endpoint|public (?:network )?access/i.test(message)) {
    return { kind: 'network_refused' };
  }
  if (/temporarily blocked/i.test(message)) return { kind: 'resource_blocked' };
  if (/out of call volume quota/i.test(message)) return { kind: 'quota_exhausted' };
  return { kind: 'auth', renew: false };
}

function findMissing(error: UpstreamError, code: string, context: FailureContext): Finding {
  const { message } = error;
  if (isDeploymentRefusal(code) || /^model .{1,200} not found/i.test(message)) {
    return { kind: 'deployment_missing' };
  }
  const object = findMissingObject(message, code);
  if (object !== undefined) return { kind: object };
  if (/subdomain does not map/i.test(message)) return { kind: 'network_refused' };
  if (isOperationRefusal(message, code)) return { kind: 'operation_unsupported' };
  // One body for a wrong path, a retired api-version and an operation the host lacks. Responses is what hosts and versions lack.
  const isResponses = operationOf(context.capability) === 'responses';
  if (isResponses || code !== '404') return { kind: 'operation_unsupported' };
  return { kind: 'api_version' };
}

function findThrottled(error: UpstreamError, code: string, context: FailureContext): FailureKind {
  if (code === 'no_capacity' || /experiencing high demand/i.test(error.message))
    return 'no_capacity';
  if (code === 'insufficient_quota' || code === 'token_limit_exceeded') return 'quota_exhausted';
  if (context.capacity === 'ptu' || /provisioned-managed/i.test(error.message)) {
    return 'capacity_exhausted';
  }
  return 'rate_limited';
}

function findMissingObject(message: string, code: string): FailureKind | undefined {
  if (code === 'previous_response_not_found' || /^previous response with id/i.test(message)) {
    return 'previous_response_missing';
  }
  // Files, vector stores, containers and prompts go by the same words.
  return /^(?:[a-z]+ ){1,3}with id [^]{1,2000} not found/i.test(message)
    ? 'item_missing'
    : undefined;
}

function isDeploymentRefusal(code: string): boolean {
  return (
    code === 'deploymentnotfound' ||
    code === 'model_not_found' ||
    code === 'unavailable_model' ||
    code === 'unknown_model'
  );
}

// What is learned from these texts is believed of the deployment for everyone. Upstreams quote a caller's values in their
// refusals, so only the beginning of a text is the upstream's own.
const operationText =
  /^the \w{1,40} operation does not work with the specified model|^model not supported|^this model is only supported in v1\/|^this is not a chat model/i;

function isOperationRefusal(message: string, code: string): boolean {
  return code === 'operationnotsupported' || operationText.test(message);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The part of a stream event that is its error, or null. */
function streamErrorSource(event: unknown): unknown {
  if (!isObject(event)) return null;
  if (event['type'] === 'response.failed') {
    const response = event['response'];
    return isObject(response) && isObject(response['error']) ? response['error'] : {};
  }
  if (event['type'] === 'error')
    return isObject(event['error']) ? event['error'] : flatError(event);
  const nested = event['error'];
  return isObject(nested) || (typeof nested === 'string' && nested !== '') ? nested : null;
}

/** `type` is the event's there, not the error's. */
function flatError(event: Record<string, unknown>): Record<string, unknown> {
  return { ...event, type: null };
}

const throttledCodes = new Set([
  'rate_limit_exceeded',
  'rate_limit_reached',
  'ratelimitreached',
  'too_many_requests',
  'no_capacity',
  'insufficient_quota',
]);

/** No status comes with an error inside a stream: codes and types stand for it. */
function streamErrorStatus(source: unknown, error: UpstreamError): number {
  const stated = isObject(source) ? codeOf(source['status']) : null;
  for (const candidate of [stated, error.code]) {
    const status = Number(candidate);
    if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
  }
  const words = [error.code, error.type].map((word) => word?.toLowerCase() ?? '');
  const isAny = (pattern: RegExp): boolean => words.some((word) => pattern.test(word));
  if (words.some((word) => throttledCodes.has(word)) || /rate limit/i.test(error.message))
    return 429;
  if (words.some((word) => filterCodes.has(word)) || filterText.test(error.message)) return 400;
  if (isAny(/deploymentnotfound|model_not_found/)) return 404;
  if (isAny(/service_?unavailable|overloaded/)) return 503;
  if (isAny(/timeout/)) return 408;
  if (isAny(/^server_error|^internal/)) return 500;
  if (
    isAny(
      /^invalid|^unsupported|^unknown_parameter|context_length|not_found|operationnotsupported|badrequest/,
    )
  ) {
    return 400;
  }
  return 500;
}

function textValues(record: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name.toLowerCase(), value]] : [],
    ),
  );
}

/** What the caller gets to see of a failure. */
export type CallerError = {
  status: number;
  /** OpenAI's envelope; for content filters with Azure's details unless they are sanitised away. */
  body: ErrorEnvelope;
};

/** Words that callers of LiteLLM look for in messages. */
const namedErrors: { readonly [kind in FailureKind]?: string } = {
  context_window: 'ContextWindowExceededError',
  ptu_context_window: 'ContextWindowExceededError',
  content_filter: 'ContentPolicyViolationError',
  rate_limited: 'RateLimitError',
  capacity_exhausted: 'RateLimitError',
  no_capacity: 'RateLimitError',
  quota_exhausted: 'RateLimitError',
};

/**
 * The caller's view of the failure that ended a request.
 *
 * A fault of the request keeps the upstream's status and words. Faults of the gateway's own doing (credential, network,
 * configuration) and silent ones answer from the contract's table: a caller who saw a 401 would think of its own key.
 *
 * @param options.model - the name the caller asked for
 */
export function toCallerError(
  failure: UpstreamFailure,
  options: { sanitiseContentFilter: boolean; model?: string },
): CallerError {
  switch (failure.kind) {
    case 'auth':
      return fromTable('upstream_auth');
    case 'network_refused':
    case 'resource_blocked':
      return fromTable('upstream_error', { reason: 'it refuses the gateway' });
    case 'unreachable':
      return fromTable('upstream_unavailable', { reason: 'the connection failed' });
    case 'aborted':
      return fromTable('upstream_error', { reason: 'the call was ended' });
    case 'timeout':
      return fromTable('upstream_timeout');
    case 'deployment_missing':
      return fromTable('model_not_found', { model: options.model ?? 'asked for' }, 'model');
    case 'content_filter':
      return filterError(failure, options.sanitiseContentFilter);
    case 'api_version':
      return fromTable('upstream_error', { reason: versionReason(failure) });
    case 'operation_unsupported':
      return operationError(failure);
    case 'unavailable':
      return unavailableError(failure);
    case 'rate_limited':
    case 'capacity_exhausted':
    case 'no_capacity':
    case 'quota_exhausted':
      return passedOn(failure, 429);
    case 'context_window':
    case 'ptu_context_window':
    case 'parameter_unsupported':
    case 'unknown_parameter':
    case 'encrypted_content':
    case 'previous_response_missing':
    case 'item_missing':
    case 'conflict':
    case 'payload_too_large':
    case 'header_too_large':
    case 'bad_request':
      return passedOn(failure, failure.status);
  }
}

/** What the operator of a gateway changes where an upstream does not take the api-version that is configured. */
export const apiVersionChange = 'take api_version v1 or a version that Azure still has';

/** Only the administrator can act on it. The upstream's words may name what needs the newer version, which the caller can leave out. */
function versionReason({ status, message }: UpstreamFailure): string {
  const change = `. The administrator of this gateway should ${apiVersionChange}`;
  if (status === 404) return `it does not know the path or the api-version${change}`;
  const said = message === '' ? '' : ` (${message.replace(/\.$/, '')})`;
  return `it refuses the api-version that its deployment is configured with${said}${change}`;
}

function fromTable(
  code: ErrorCode,
  values: Record<string, string> = {},
  param: string | null = null,
): CallerError {
  const { status, type } = errorDefinitions[code];
  return { status, body: { error: { message: errorMessage(code, values), type, param, code } } };
}

/** "Resource not found" would send the caller looking for a mistake in the path. */
function operationError(failure: UpstreamFailure): CallerError {
  const { status, body } = passedOn(failure, 400);
  if (failure.status < 404) return { status, body };
  const message = 'The deployment behind this model does not offer this operation.';
  return { status, body: { error: { ...body.error, message, code: 'OperationNotSupported' } } };
}

function unavailableError(failure: UpstreamFailure): CallerError {
  const status = failure.status >= 500 ? failure.status : errorDefinitions.upstream_error.status;
  if (failure.message !== '') return passedOn(failure, status);
  const { body } = fromTable('upstream_error', {
    reason: `it answered with status ${failure.status}`,
  });
  return { status, body };
}

function filterError(failure: UpstreamFailure, isSanitised: boolean): CallerError {
  const { status, body } = passedOn(failure, 400);
  const code = failure.code === 'content_policy_violation' ? failure.code : 'content_filter';
  const error = { ...body.error, type: 'invalid_request_error', code };
  return { status, body: { error: isSanitised ? error : { ...error, ...failure.filterDetails } } };
}

function passedOn(failure: UpstreamFailure, status: number): CallerError {
  const message = failure.message === '' ? silentMessage(failure.kind) : failure.message;
  const name = namedErrors[failure.kind];
  return {
    status,
    body: {
      error: {
        message: name === undefined || message.includes(name) ? message : `${message} (${name})`,
        // A type belongs to its status: where that had to change, the upstream's word no longer fits.
        type: (failure.status === status ? failure.type : null) ?? typeOf(status),
        param: failure.param,
        code: codeFor(failure, status),
      },
    },
  };
}

function silentMessage(kind: FailureKind): string {
  return `The upstream refused the request without saying why (${kind.replaceAll('_', ' ')}).`;
}

function typeOf(status: number): string {
  if (status === 429) return 'throttling_error';
  return status >= 500 ? 'internal_server_error' : 'invalid_request_error';
}

/** A number in `code` says no more than the status does. */
function codeFor(failure: UpstreamFailure, status: number): string | null {
  if (failure.code !== null && !/^\d+$/.test(failure.code)) return failure.code;
  if (status === 429) return 'rate_limit_exceeded';
  return status >= 500 ? 'upstream_error' : null;
}
