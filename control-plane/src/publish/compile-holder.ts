import type { HolderRecord } from '@aigateway/contract/records';
import { normaliseRegion } from '@aigateway/contract/regions';
import type { BudgetDocument, CustomerDocument, TagDocument } from '../store/documents.ts';
import { limitsOf, modelRatesOf } from './compile-key.ts';

/**
 * Compiles a customer to the record that proxies hold. A customer without any rule has none, so that what proxies hold grows with
 * the rules and not with the customers.
 *
 * @param budget - the customer's own; with it the limits of customers in general no longer hold for this one, as in LiteLLM
 */
export function compileCustomer(
  customer: CustomerDocument,
  budget: BudgetDocument | undefined,
): HolderRecord | undefined {
  const { user_id: id, blocked, models, allowed_model_region: region } = customer;
  if (!blocked && budget === undefined && models.length === 0 && region === null) return undefined;
  return {
    kind: 'end_user',
    id,
    blocked,
    ...limitsBy(budget),
    models,
    regions: region === null ? [] : [normaliseRegion(region)],
  };
}

/** Compiles a tag to the record that proxies hold. One without a budget has none: its deployments carry it themselves. */
export function compileTag(
  tag: TagDocument,
  budget: BudgetDocument | undefined,
): HolderRecord | undefined {
  if (budget === undefined) return undefined;
  return {
    kind: 'tag',
    id: tag.name,
    blocked: false,
    ...limitsBy(budget),
    models: [],
    regions: [],
  };
}

/** What a budget states, as proxies hold it. */
export function limitsBy(
  budget: BudgetDocument | undefined,
): Pick<HolderRecord, 'limits' | 'modelLimits'> {
  if (budget === undefined) return {};
  const modelLimits = modelRatesOf(budget);
  return {
    limits: limitsOf(budget),
    ...(Object.keys(modelLimits).length > 0 && { modelLimits }),
  };
}
