import { costEstimate } from '../accounting/cost.ts';
import { estimateTokens, type ExpectedCall, type TokenEstimate } from '../admission/estimate.ts';
import { measureContent } from '../admission/content-size.ts';
import { refusalError } from '../admission/refusal.ts';
import type { Refusal, Reservation } from '../ports.ts';
import type { Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';
import type { Call } from './read.ts';

/** An admitted call: what was reserved for it, and by which estimate. */
export type Admitted = {
  readonly reservation: Reservation;
  readonly estimate: TokenEstimate;
  /** What the estimate costs, in nano-USD. */
  readonly costNanoUsd: number;
};

/** Bodies up to this size are counted as text whole: a picture in them weighs little either way. */
const measuredFromBytes = 32_768;

const nothing: TokenEstimate = { input: 0, output: 0, total: 0 };

/** @param output - what is known of the output to come */
function expected(
  { operation, body, choices }: Call,
  output: Pick<ExpectedCall, 'requestedOutput' | 'maxOutput' | 'meanOutput'>,
): ExpectedCall {
  const content = body.length > measuredFromBytes ? measureContent(body) : undefined;
  return {
    operation: operation.name,
    bodyBytes: body.length,
    contentBytes: content?.contentBytes,
    mediaParts: content?.mediaParts,
    requestedOutput: output.requestedOutput,
    maxOutput: output.maxOutput,
    meanOutput: output.meanOutput,
    choices,
  };
}

/** Tokens of the call's input, by the same rule as its limits. */
export function estimateInput(call: Call): number {
  return estimateTokens(expected(call, {})).input;
}

function lower(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

/** What the call is expected to use, see {@link estimateTokens}. */
function estimate(grant: Grant, gateway: Gateway): TokenEstimate {
  const { call, key, model, snapshot } = grant;
  if (!call.match.endpoint.metered) return nothing;
  const [first] = snapshot.models.deployments(model.group);
  return estimateTokens(
    expected(call, {
      requestedOutput: call.outputLimit,
      maxOutput: lower(first?.facts.maxOutputTokens, key.maxOutputTokens),
      meanOutput: gateway.outputMeans.mean(key.keyId, model.name),
    }),
  );
}

/**
 * Reserves what the call is expected to use from every holder of limits above it.
 *
 * @throws GatewayError 429 naming the limit that has no room
 */
export function limit(grant: Grant, gateway: Gateway): Admitted | Promise<Admitted> {
  const tokens = estimate(grant, gateway);
  const deployments = grant.snapshot.models.deployments(grant.model.group);
  const costNanoUsd = costEstimate(
    tokens,
    deployments.map(({ prices }) => prices),
  );
  const answer = gateway.limiter.reserve({
    scopes: grant.scopes,
    tokens: tokens.total,
    costNanoUsd,
  });
  return answer instanceof Promise
    ? admittedLater(answer, tokens, costNanoUsd, grant, gateway)
    : admitted(answer, tokens, costNanoUsd, grant, gateway);
}

async function admittedLater(
  answer: Promise<Reservation | Refusal>,
  estimated: TokenEstimate,
  costNanoUsd: number,
  grant: Grant,
  gateway: Gateway,
): Promise<Admitted> {
  return admitted(await answer, estimated, costNanoUsd, grant, gateway);
}

function admitted(
  outcome: Reservation | Refusal,
  estimated: TokenEstimate,
  costNanoUsd: number,
  { snapshot }: Grant,
  { clock }: Gateway,
): Admitted {
  if (!('refused' in outcome)) return { reservation: outcome, estimate: estimated, costNanoUsd };
  throw refusalError(outcome, {
    nowMs: clock.now(),
    estimateTokens: estimated.total,
    estimateNanoUsd: costNanoUsd,
    budgetExceededStatus: snapshot.records.settings.budgetExceededStatus,
  });
}
