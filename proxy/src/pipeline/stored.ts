import { GatewayError } from '../errors.ts';
import { tagMarker, type IdTagger } from '../routing/affinity.ts';
import { capabilityFor } from '../routing/capability.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { availableAt } from '../routing/health.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Caller } from './authenticate.ts';
import { customerOf, scopesOfCall, type Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';
import type { Call } from './read.ts';
import type { StatefulBody } from './state.ts';

/**
 * Decides whether a key may reach a stored object, and by which deployment: any of the resource that its id names will do.
 *
 * @throws GatewayError 403 for a blocked customer, 404 for an id that was not made by this gateway, for another owner's, and for a resource that is gone
 */
export function authorizeStored(
  call: Call,
  caller: Caller,
  snapshot: Snapshot,
  gateway: Gateway,
): { grant: Grant; stateful: StatefulBody } {
  const { key } = caller;
  const tagged = call.match.id ?? '';
  const read = gateway.tagger.unwrap(tagged, key.ownerId);
  const found = typeof read === 'object' && read.kind === 'response' ? read : undefined;
  const door = found === undefined ? undefined : doorTo(found.resourceId, gateway);
  if (found === undefined || door === undefined) {
    throw new GatewayError('object_not_found', {
      param: 'id',
      values: { kind: 'response', id: tagged.slice(0, 80) },
    });
  }
  const { record } = door;
  const customer = customerOf(call, snapshot);
  const grant: Grant = {
    call: {
      ...call,
      match: { ...call.match, id: found.original },
      query: untagged(call.query, gateway.tagger, key.ownerId),
    },
    key,
    customer,
    snapshot,
    model: {
      group: record.model,
      name: record.model,
      deploymentId: record.id,
      accessNames: [],
      accessGroups: [],
      providerNames: [],
    },
    asked: record.model,
    scopes: scopesOfCall(key, record.model, call, customer, key.tags, snapshot),
    tags: key.tags,
  };
  return {
    grant,
    stateful: {
      body: undefined,
      written: Buffer.from(tagged),
      homes: new Set([found.resourceId]),
      stripped: false,
      changes: [],
    },
  };
}

/** The deployment of a resource that is available soonest. */
function doorTo(resourceId: string, gateway: Gateway): DeploymentState | undefined {
  const now = gateway.clock.now();
  let door: DeploymentState | undefined;
  for (const state of gateway.deployments.all()) {
    if (state.record.resource.id !== resourceId) continue;
    if (door === undefined || opensAt(state, now) < opensAt(door, now)) door = state;
  }
  return door;
}

/** One that is paused or cannot lead there is a door only where there is no other: then it says why nothing comes. */
function opensAt(state: DeploymentState, now: number): number {
  const { record } = state;
  const leads = record.blocked !== true && capabilityFor(state, 'responses', [], now) !== undefined;
  return leads ? availableAt(state, now) : Infinity;
}

/** Cursors in a query are ids that were handed out, too. */
function untagged(query: string, tagger: IdTagger, ownerId: string): string {
  if (!query.includes(tagMarker)) return query;
  const parameters = new URLSearchParams(query);
  for (const [name, value] of new URLSearchParams(query)) {
    const read = tagger.unwrap(value, ownerId);
    if (typeof read === 'object') parameters.set(name, read.original);
  }
  return parameters.toString();
}
