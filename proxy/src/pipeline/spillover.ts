import type { DeploymentRecord, PriceRecord } from '@aigateway/contract/records';
import type { UpstreamAnswerHeaders } from '../upstream/headers.ts';

/**
 * The deployment of the same resource that Azure itself passed a call on to, because the provisioned one was full; undefined
 * where the one that was asked answered.
 */
export function spilledTo(
  headers: UpstreamAnswerHeaders,
  asked: DeploymentRecord,
): string | undefined {
  if (headers['x-ms-spillover-from-deployment'] === undefined) return undefined;
  // A spill that failed as well: the answer is the first deployment's.
  if (headers['x-ms-spillover-error'] !== undefined) return undefined;
  const served = headers['x-ms-deployment-name'];
  return typeof served === 'string' ? served : (asked.spilloverDeployment ?? 'unknown');
}

/** Prices of the deployment that a call was passed on to, where the configuration holds it as well. */
export function spilloverPrices(
  deployments: readonly DeploymentRecord[],
  asked: DeploymentRecord,
  name: string,
): PriceRecord | undefined {
  return deployments.find(
    (record) => record.resource.id === asked.resource.id && record.deployment === name,
  )?.prices;
}
