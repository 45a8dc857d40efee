import type { HolderRecord, KeyRecord, RouterRecord } from '@aigateway/contract/records';
import type { DeploymentState } from './deployments.ts';

/** The rule that left no deployment. */
export type FilterReason =
  | 'no_member'
  | 'blocked'
  | 'region'
  | 'credential'
  | 'home'
  | 'tags'
  | 'operation'
  | 'context_window';

export type FilterRequest = {
  key: Pick<KeyRecord, 'regions'>;
  /** The customer that the request names, where there are rules for it. */
  customer?: Pick<HolderRecord, 'regions'> | undefined;
  router: Pick<RouterRecord, 'tagFiltering' | 'tagMatchAny' | 'preCallChecks'>;
  /** Origins of the key's own credential; absent = the deployments' credentials are used. */
  credentialOrigins?: readonly string[] | undefined;
  /** Resources that hold the state the request refers to; absent or empty = none. */
  homes?: ReadonlySet<string> | undefined;
  /** Tags of the request and of its key, with LiteLLM's `!` and `&` prefixes. */
  tags: readonly string[];
  /** Only this deployment, where the caller asked for it by id. */
  deploymentId?: string | undefined;
  estimateInputTokens: number;
  /** Whether the deployment can serve the operation, itself or over a bridge. */
  canServe: (state: DeploymentState) => boolean;
};

export type Filtered = {
  candidates: readonly DeploymentState[];
  /** Set when no candidate is left. */
  reason?: FilterReason;
};

type Rule = {
  reason: FilterReason;
  applies(request: FilterRequest): boolean;
  keep(states: readonly DeploymentState[], request: FilterRequest): readonly DeploymentState[];
};

/**
 * Hard rules in the order in which they are reported: what an administrator or the law decides first, what depends on the
 * request last. None is ever relaxed, also not for a fallback.
 */
const rules: readonly Rule[] = [
  each(
    'no_member',
    ({ deploymentId }) => deploymentId !== undefined,
    ({ record }, { deploymentId }) => record.id === deploymentId,
  ),
  each(
    'blocked',
    () => true,
    ({ record }) => record.blocked !== true,
  ),
  each(
    'region',
    ({ key }) => key.regions.length > 0,
    (state, { key }) => isInRegion(state, key.regions),
  ),
  each(
    'region',
    ({ customer }) => customer !== undefined && customer.regions.length > 0,
    (state, { customer }) => isInRegion(state, customer?.regions ?? []),
  ),
  each(
    'credential',
    ({ credentialOrigins }) => credentialOrigins !== undefined,
    ({ record }, { credentialOrigins }) =>
      credentialOrigins?.includes(record.resource.origin) ?? true,
  ),
  each(
    'home',
    ({ homes }) => homes !== undefined && homes.size > 0,
    ({ record }, { homes }) => homes?.has(record.resource.id) ?? true,
  ),
  { reason: 'tags', applies: ({ router }) => router.tagFiltering, keep: keepTagged },
  each(
    'operation',
    () => true,
    (state, { canServe }) => canServe(state),
  ),
  each(
    'context_window',
    ({ router }) => router.preCallChecks,
    ({ record }, { estimateInputTokens }) =>
      (record.facts.maxInputTokens ?? Infinity) >= estimateInputTokens,
  ),
];

/** The deployments of a group that may serve a request at all, in their order, or the rule that left none. */
export function filterDeployments(
  group: readonly DeploymentState[],
  request: FilterRequest,
): Filtered {
  if (group.length === 0) return { candidates: group, reason: 'no_member' };
  let candidates = group;
  for (const rule of rules) {
    if (!rule.applies(request)) continue;
    candidates = rule.keep(candidates, request);
    if (candidates.length === 0) return { candidates, reason: rule.reason };
  }
  return { candidates };
}

function each(
  reason: FilterReason,
  applies: (request: FilterRequest) => boolean,
  passes: (state: DeploymentState, request: FilterRequest) => boolean,
): Rule {
  return {
    reason,
    applies,
    keep: (states, request) =>
      allPass(states, request, passes) ? states : passing(states, request, passes),
  };
}

/** Usually all do: then nothing is made, no function either. */
function allPass(
  states: readonly DeploymentState[],
  request: FilterRequest,
  passes: (state: DeploymentState, request: FilterRequest) => boolean,
): boolean {
  for (const state of states) if (!passes(state, request)) return false;
  return true;
}

function passing(
  states: readonly DeploymentState[],
  request: FilterRequest,
  passes: (state: DeploymentState, request: FilterRequest) => boolean,
): readonly DeploymentState[] {
  return states.filter((state) => passes(state, request));
}

/** Regions name data zones or single regions; a deployment whose place is unknown is in none of them. */
function isInRegion({ record }: DeploymentState, regions: readonly string[]): boolean {
  const region = record.region ?? record.resource.region;
  return (
    (region !== undefined && regions.includes(region)) ||
    (record.residency !== undefined && regions.includes(record.residency))
  );
}

/**
 * LiteLLM's tag filtering: `!tag` excludes, `&tag` is required. Of the rest, deployments with any of the request's tags (all
 * of them without `match_any`), else those tagged `default`. A request without plain tags gets the default ones, else all.
 */
function keepTagged(
  states: readonly DeploymentState[],
  { tags, router }: FilterRequest,
): readonly DeploymentState[] {
  const excluded = tags.filter((tag) => tag.startsWith('!')).map((tag) => tag.slice(1));
  const required = tags.filter((tag) => tag.startsWith('&')).map((tag) => tag.slice(1));
  const plain = tags.filter((tag) => !tag.startsWith('!') && !tag.startsWith('&'));
  const possible = states.filter(
    ({ record }) =>
      !excluded.some((tag) => record.tags.includes(tag)) &&
      required.every((tag) => record.tags.includes(tag)),
  );
  const isDefault = ({ record }: DeploymentState): boolean => record.tags.includes('default');
  if (plain.length === 0) {
    if (required.length > 0) return possible;
    const defaults = possible.filter(isDefault);
    return defaults.length > 0 ? defaults : possible;
  }
  const matching = possible.filter(({ record }) => {
    const has = (tag: string): boolean => record.tags.includes(tag);
    return router.tagMatchAny ? plain.some(has) : plain.every(has);
  });
  return matching.length > 0 ? matching : possible.filter(isDefault);
}
