import { lookUp, priceOf } from '@aigateway/contract/prices';
import type { DeploymentRecord } from '@aigateway/contract/records';
import type { TokenCounts } from '@aigateway/contract/usage';
import { costNanoUsd } from '../accounting/cost.ts';
import type { TailUsage } from '../accounting/usage-tail.ts';
import { spilloverPrices } from './spillover.ts';

/**
 * By the deployment's prices; where its name says nothing (a wildcard), by those of the model that Azure says it was. What
 * Azure itself passed on is not paid by provisioned capacity: then the other deployment's count, else the model's.
 *
 * @param other - the deployment that Azure passed the call on to
 * @returns nano-USD; undefined where no price is known
 */
export function answerCost(
  tokens: TokenCounts,
  record: DeploymentRecord,
  other: string | undefined,
  seen: TailUsage | undefined,
  deployments: readonly DeploymentRecord[],
): number | undefined {
  const listed =
    other === undefined
      ? record.prices
      : (spilloverPrices(deployments, record, other) ??
        (seen?.model === undefined ? undefined : lookUp(seen.model)?.prices) ??
        record.prices);
  const price = priceOf(listed, seen?.model);
  return price === undefined ? undefined : costNanoUsd(tokens, price, seen?.serviceTier);
}
