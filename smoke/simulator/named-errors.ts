import {
  dataActionMissing,
  deploymentNotFound,
  frontEndError,
  invalidKey,
  invalidToken,
  invalidValue,
  keyAuthDisabled,
  modelError,
  provisionedContextExceeded,
  resourceNotFound,
  roleMissing,
  subdomainUnknown,
  tooManyHeaders,
} from './errors.ts';
import { provisionedFull, rateLimited, retryAfterHeaders } from './rate-limit-errors.ts';
import type { RefusedCall } from './rate-limit-errors.ts';
import type { RateLimitWording } from './config.ts';
import type { Reply } from './reply.ts';

/** One day: the longest wait Azure has been seen to announce. */
const DAY_MS = 86_400_000;

type Maker = (call: RefusedCall) => Reply;

function withWait(reply: Reply, ms: number): Reply {
  return { ...reply, headers: { ...reply.headers, ...retryAfterHeaders(ms) } };
}

/** A refusal of a standard deployment, with the headers that tell what is used up and when it comes back. */
function usedUp(
  wording: RateLimitWording,
  reason: 'tokens' | 'requests',
  call: RefusedCall,
  ms: number,
): Reply {
  const reply = withWait(rateLimited(wording, reason, call, ms), ms);
  reply.headers[`x-ratelimit-remaining-${reason}`] = '0';
  reply.headers[`x-ratelimit-reset-${reason}`] = String(Math.ceil(ms / 1000));
  return reply;
}

function tooMany(code: string, message: string): Reply {
  return modelError(429, { message, type: 'too_many_requests', code }).reply;
}

/** Errors that can be sent on command, named by status and cause. */
export const NAMED_ERRORS = {
  '400-compaction-trigger': () =>
    invalidValue('input[1].type', 'compaction_trigger', ['message', 'function_call', 'reasoning'])
      .reply,
  '400-context-length-ptu': () => provisionedContextExceeded().reply,
  '401-data-action-missing': () => dataActionMissing('00000000-0000-4000-8000-000000000000').reply,
  '401-invalid-key': () => invalidKey().reply,
  '401-role-missing': () => roleMissing().reply,
  '401-token-invalid': () => invalidToken().reply,
  '403-firewall': () =>
    frontEndError(403, 'AccessDenied', 'Access denied due to Virtual Network/Firewall rules.')
      .reply,
  '403-key-auth-disabled': () => keyAuthDisabled().reply,
  '403-not-private-endpoint': () =>
    frontEndError(403, '403', 'Traffic is not from an approved private endpoint.').reply,
  '403-public-access-disabled': () =>
    frontEndError(403, '403', 'Public access is disabled. Please configure private endpoint.')
      .reply,
  '403-resource-blocked': () =>
    frontEndError(
      403,
      '403',
      'Your resource has been temporarily blocked because we detected behavior that may violate our policies.',
    ).reply,
  '404-deployment-not-found': () => deploymentNotFound().reply,
  '404-resource-not-found': () => resourceNotFound().reply,
  '404-subdomain': () => subdomainUnknown().reply,
  '408-timeout': () => frontEndError(408, 'Timeout', 'The operation was timeout.').reply,
  '429-apim': () =>
    frontEndError(429, '429', 'Rate limit is exceeded. Try again in 7 seconds.').reply,
  '429-day-long': (call) => withWait(rateLimited('classic', 'tokens', call, DAY_MS), DAY_MS),
  '429-no-capacity': () =>
    withWait(
      tooMany(
        'no_capacity',
        'The system is currently experiencing high demand and cannot process your request. Your request exceeds the maximum usage size allowed during peak load. For improved capacity reliability, consider switching to Provisioned Throughput.',
      ),
      30_000,
    ),
  '429-ptu': () => {
    const reply = withWait(provisionedFull(), 1480);
    reply.headers['azure-openai-deployment-utilization'] = '103.2%';
    return reply;
  },
  '429-requests-classic': (call) => usedUp('classic', 'requests', call, 870),
  '429-tokens-classic': (call) => usedUp('classic', 'tokens', call, 6810),
  '429-tokens-2025': (call) => usedUp('2025', 'tokens', call, 11_750),
  '429-tokens-2026': (call) => withWait(rateLimited('2026', 'tokens', call, 5000), 5000),
  '429-without-headers': () => tooMany('too_many_requests', 'Too Many Requests'),
  '431-too-many-headers': () => tooManyHeaders().reply,
  '500-internal': () =>
    modelError(500, {
      message: 'The server had an error while processing your request. Sorry about that!',
      type: 'server_error',
      code: 'InternalServerError',
    }).reply,
  '502-html': () => ({
    status: 502,
    headers: {},
    payload: {
      kind: 'text',
      contentType: 'text/html',
      text: '<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>',
    },
  }),
  '503-unavailable': () => {
    const { reply } = frontEndError(
      503,
      'ServiceUnavailable',
      'The service is temporarily unable to process your request. Please try again later.',
    );
    reply.headers['retry-after'] = '5';
    return reply;
  },
  '504-empty': () => ({ status: 504, headers: {}, payload: { kind: 'empty' } }),
} as const satisfies Record<string, Maker>;

/** Name of an error that can be sent on command. */
export type NamedError = keyof typeof NAMED_ERRORS;

/** Every name, for checking commands. */
export const NAMED_ERROR_NAMES = Object.keys(NAMED_ERRORS) as [NamedError, ...NamedError[]];

/** A fresh reply of that name. */
export function namedError(name: NamedError, call: RefusedCall): Reply {
  const maker: Maker = NAMED_ERRORS[name];
  return maker(call);
}
