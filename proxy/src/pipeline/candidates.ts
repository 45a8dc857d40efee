import { reachable } from '../bridge/index.ts';
import type { Capability } from '../operations/capability.ts';
import { capabilityFor } from '../routing/capability.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { filterDeployments } from '../routing/filter.ts';
import type { ResolvedModel } from '../routing/models.ts';
import type { Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';

/** How to ask a deployment for what the caller wants; undefined when it cannot be had there. */
export function capabilityOn(
  state: DeploymentState,
  { call, snapshot }: Grant,
  now: number,
): Capability | undefined {
  const isBridgeable = call.match.endpoint.kind !== 'stored' && snapshot.records.settings.bridge;
  const bridges = isBridgeable ? reachable(call.capability) : [];
  return capabilityFor(state, call.capability, bridges, now);
}

/**
 * The deployments of a model that may serve a call, by the rules of its key, its customer, its tags and its state.
 *
 * @param homes - resources that hold objects which the call refers to; undefined = it refers to none
 */
export function candidatesOf(
  model: ResolvedModel,
  grant: Grant,
  gateway: Gateway,
  inputTokens: number,
  homes: ReadonlySet<string> | undefined,
  now: number,
) {
  const { key, customer, snapshot, tags } = grant;
  const credential = key.credential === undefined ? undefined : snapshot.credential(key.credential);
  return filterDeployments(gateway.deployments.serving(model), {
    key,
    customer,
    router: snapshot.records.router,
    credentialOrigins: key.credential === undefined ? undefined : (credential?.origins ?? []),
    homes,
    tags,
    deploymentId: model.deploymentId,
    estimateInputTokens: inputTokens,
    canServe: (state) => capabilityOn(state, grant, now) !== undefined,
  });
}
