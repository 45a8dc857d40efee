import { isDeepStrictEqual } from 'node:util';
import type { Json } from './snapshot-files.ts';

/** Attributes that Azure cannot change on what is there: another value is another resource. */
const fixedAttributes = [
  'name',
  'location',
  'resource_group_name',
  'custom_subdomain_name',
  'tenant_id',
  'kind',
  'administrator_login',
  'capabilities',
  'partition_key_paths',
  'high_availability_enabled',
  'infrastructure_subnet_id',
  'internal_load_balancer_enabled',
  'zone_redundancy_enabled',
] as const;

/**
 * Which resources an apply would destroy, or destroy and make anew, in going from one stack to another.
 *
 * @returns lines such as `azurerm_key_vault.vault would be destroyed and made anew: name "a" → "b"`
 */
export function replacements(before: Json, after: Json): string[] {
  const old = resourcesOf(before);
  const fresh = resourcesOf(after);
  return [...old].flatMap(([address, resource]) => {
    const successor = fresh.get(address);
    if (successor === undefined) return [`${address} would be destroyed`];
    const changed = fixedAttributes
      .filter((attribute) => !isDeepStrictEqual(resource[attribute], successor[attribute]))
      .map(
        (attribute) =>
          `${attribute} ${JSON.stringify(resource[attribute])} → ${JSON.stringify(successor[attribute])}`,
      );
    return changed.length === 0
      ? []
      : [`${address} would be destroyed and made anew: ${changed.join(', ')}`];
  });
}

/** By their addresses. */
export function resourcesOf(stack: Json): Map<string, Json> {
  const types = (stack['resource'] ?? {}) as { [type: string]: { [id: string]: Json } };
  return new Map(
    Object.entries(types).flatMap(([type, byId]) =>
      Object.entries(byId).map(([id, resource]) => [`${type}.${id}`, resource] as const),
    ),
  );
}
