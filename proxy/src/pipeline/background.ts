import type { UsageRecord } from '@aigateway/contract/usage';
import { estimateId, type BackgroundResponse } from '../accounting/corrections.ts';
import type { TailUsage } from '../accounting/usage-tail.ts';
import type { DeploymentRecord } from '@aigateway/contract/records';
import { answerCost } from './answer-cost.ts';
import { chargedScopesOf, type Grant } from './authorize.ts';
import { memberValue } from './body.ts';
import type { Gateway } from './gateway.ts';
import type { Call } from './read.ts';

/** Whether a response is asked for that is generated after its request has ended. */
export function isBackground({ body, scan, operation }: Call): boolean {
  return operation.name === 'responses' && memberValue(body, scan, 'background') === true;
}

/** What an answer about a stored response says of its usage: only once it has ended is there any. */
export function endedResponse(
  { match }: Call,
  record: DeploymentRecord,
  readUsage: () => TailUsage | undefined,
): BackgroundResponse | undefined {
  const { endpoint, id } = match;
  const showsResponse = endpoint.name === 'responses.get' || endpoint.name === 'responses.cancel';
  if (!showsResponse || id === undefined) return undefined;
  const seen = readUsage();
  return seen === undefined ? undefined : { id: estimateId(record.resource.id, id), seen };
}

/** Keeps the estimate that a background response was charged by, or sets it right. */
export function accountBackground(
  { id, seen }: BackgroundResponse,
  record: UsageRecord,
  { snapshot }: Grant,
  { corrections }: Gateway,
): void {
  if (seen === undefined) {
    corrections.hold(id, record);
    return;
  }
  const { deployments } = snapshot.records;
  corrections.correct(id, seen, {
    cost({ deploymentId, spilledTo }) {
      const deployment = deployments.find((one) => one.id === deploymentId);
      if (deployment === undefined) return undefined;
      return answerCost(seen.tokens, deployment, spilledTo, seen, deployments);
    },
    scopes({ keyId, model }) {
      const key = snapshot.keyById(keyId);
      return key === undefined ? [] : chargedScopesOf(key, model, snapshot);
    },
  });
}
