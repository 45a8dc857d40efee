import type { RateLimitWording } from './config.ts';
import type { Reply } from './reply.ts';

/** What the text of a rate-limit refusal tells. */
export type RefusedCall = {
  deployment: string;
  model: string;
  /** Region id and the name people read. */
  region: { id: string; name: string };
  /** Operation as Azure's texts name it, e.g. `ChatCompletions_Create`. */
  operation: string;
  apiVersion: string;
};

/** The text a full provisioned deployment answers with. */
export const PROVISIONED_FULL_TEXT =
  'Requests have exceeded the throughput limit on your Provisioned-Managed deployment. If you continue to exceed your limit, consider increasing the number of provisioned throughput units deployed.';

/** The text of the 2026 wording, also used inside streams. */
export function rateLimitText2026(call: RefusedCall): string {
  return `Your requests to ${call.deployment} for ${call.model} in ${call.region.id} have exceeded token rate limit.`;
}

/** Both headers a 429 carries: whole seconds, rounded up, and the precise milliseconds. */
export function retryAfterHeaders(ms: number): Record<string, string> {
  return { 'retry-after': String(Math.ceil(ms / 1000)), 'retry-after-ms': String(Math.ceil(ms)) };
}

/**
 * The body of a 429 of a standard deployment.
 *
 * @param retryAfterMs - wait named in the text, rounded up to seconds
 */
export function rateLimited(
  wording: RateLimitWording,
  reason: 'tokens' | 'requests',
  call: RefusedCall,
  retryAfterMs: number,
): Reply {
  const seconds = Math.ceil(retryAfterMs / 1000);
  const wait = `Please retry after ${String(seconds)} second${seconds === 1 ? '' : 's'}.`;
  const limit = reason === 'tokens' ? 'token' : 'call';
  return {
    status: 429,
    headers: {},
    payload: { kind: 'json', value: { error: errorOf(wording, call, limit, wait) } },
  };
}

function errorOf(
  wording: RateLimitWording,
  call: RefusedCall,
  limit: string,
  wait: string,
): object {
  switch (wording) {
    case 'classic':
      return {
        code: '429',
        message: `Requests to the ${call.operation} Operation under Azure OpenAI API version ${call.apiVersion} have exceeded ${limit} rate limit of your current OpenAI S0 pricing tier. ${wait} Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.`,
      };
    case '2025':
      return {
        code: 'RateLimitReached',
        message: `Your requests to ${call.deployment} for ${call.model} in ${call.region.name} have exceeded the ${limit} rate limit for your current AIServices S0 pricing tier. This request was for ${call.operation} under Azure OpenAI API version ${call.apiVersion}. ${wait} To increase your default rate limit, visit: https://aka.ms/oai/quotaincrease.`,
      };
    case '2026':
      return {
        message: rateLimitText2026(call),
        type: 'too_many_requests',
        param: null,
        code: 'rate_limit_exceeded',
      };
  }
}

/** The body of a 429 of a full provisioned deployment. */
export function provisionedFull(): Reply {
  return {
    status: 429,
    headers: {},
    payload: {
      kind: 'json',
      value: {
        error: {
          message: PROVISIONED_FULL_TEXT,
          type: 'too_many_requests',
          param: null,
          code: 'rate_limit_reached',
        },
      },
    },
  };
}
