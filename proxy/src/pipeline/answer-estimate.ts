import type { JsonObject } from '@aigateway/contract/records';
import type { AttemptRecord } from '@aigateway/contract/usage';
import type { RequestEnd } from '../accounting/meter.ts';
import { rateLimitHeaders } from '../admission/refusal.ts';
import type { Grant } from './authorize.ts';
import { memberValue } from './body.ts';
import type { Gateway } from './gateway.ts';
import { estimateInput, type Admitted } from './limit.ts';
import type { Call } from './read.ts';
import { jsonHeaders, type Reply } from './reply.ts';
import { headerValue, whenClosed } from './respond.ts';

export type AnswerEstimateInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly attempts: readonly AttemptRecord[];
};

/** The gateway can say itself how long an input is where no deployment can; not of a conversation that an upstream keeps. */
export function canEstimate(call: Call): boolean {
  const isKept = ['previous_response_id', 'conversation'].some(
    (name) => (memberValue(call.body, call.scan, name) ?? null) !== null,
  );
  return call.capability === 'responses.input_tokens' && !isKept;
}

/** Answers a count of input tokens with the estimate that the call's limits would go by. Nothing is used by it. */
export async function answerEstimate(input: AnswerEstimateInput): Promise<RequestEnd> {
  const { grant, admitted, reply, gateway, attempts } = input;
  const answer: JsonObject = {
    object: 'response.input_tokens',
    input_tokens: estimateInput(grant.call),
  };
  const closed = whenClosed(reply);
  reply.send(
    200,
    [
      ...jsonHeaders,
      ...rateLimitHeaders(admitted.reservation.standing),
      'x-litellm-model-group',
      headerValue(grant.model.name),
      'x-aigateway-changes',
      'estimated',
    ],
    JSON.stringify(answer),
  );
  const firstOutputAt = gateway.clock.now();
  const finished = await closed;
  return { outcome: finished ? 'completed' : 'aborted', status: 200, attempts, firstOutputAt };
}
