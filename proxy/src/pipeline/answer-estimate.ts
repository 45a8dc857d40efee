import type { JsonObject, SettingsRecord } from '@aigateway/contract/records';
import type { AttemptRecord } from '@aigateway/contract/usage';
import type { RequestEnd } from '../accounting/meter.ts';
import { countedMessages, tokenCount } from '../bridge/token-counter.ts';
import { rateLimitHeaders } from '../admission/refusal.ts';
import type { Grant } from './authorize.ts';
import { memberValue } from './body.ts';
import type { Gateway } from './gateway.ts';
import { estimateInput, type Admitted } from './limit.ts';
import { parseCallBody } from './prepare.ts';
import type { Call } from './read.ts';
import { jsonHeaders, type Reply } from './reply.ts';
import { cutOff, headerValue, whenClosed } from './respond.ts';

export type AnswerEstimateInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly attempts: readonly AttemptRecord[];
};

/**
 * The gateway can say itself how long an input is where no deployment can; not of a conversation that an upstream keeps. Without bridges
 * a path of OpenAI's is answered by deployments alone.
 */
export function canEstimate(call: Call, { bridge }: Pick<SettingsRecord, 'bridge'>): boolean {
  if (call.capability === 'token_counter') return true;
  if (!bridge || call.capability !== 'responses.input_tokens') return false;
  const isKept = ['previous_response_id', 'conversation'].some(
    (name) => (memberValue(call.body, call.scan, name) ?? null) !== null,
  );
  return !isKept;
}

/**
 * Answers a count of input tokens with the estimate that the call's limits would go by. Nothing is used by it.
 *
 * @throws GatewayError `invalid_parameter` for a count of nothing
 */
export async function answerEstimate(input: AnswerEstimateInput): Promise<RequestEnd> {
  const { grant, admitted, reply, gateway, attempts } = input;
  const answer = estimatedCount(grant);
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
  return { outcome: finished ? 'completed' : cutOff(reply), status: 200, attempts, firstOutputAt };
}

function estimatedCount({ call, asked, model, snapshot }: Grant): JsonObject {
  const tokens = estimateInput(call);
  if (call.capability !== 'token_counter')
    return { object: 'response.input_tokens', input_tokens: tokens };
  // What cannot be counted is not guessed at either.
  countedMessages(parseCallBody(call));
  const [deployment] = snapshot.models.deployments(model.group);
  return tokenCount(tokens, asked, deployment ?? { facts: {} }, 'estimate');
}
