import type { Json } from './snapshot-files.ts';

type Resource = { [name: string]: unknown };

/** A zone is named by its id, in place of group and name. */
function byZoneId(nameField: string): (resource: Resource) => void {
  return (resource) => {
    resource['private_dns_zone_id'] = String(resource[nameField]).replace(/\.name\}$/, '.id}');
    delete resource[nameField];
    delete resource['resource_group_name'];
  };
}

function localAuthentication(resource: Resource): void {
  if (!('local_authentication_disabled' in resource)) return;
  resource['local_authentication_enabled'] = resource['local_authentication_disabled'] !== true;
  delete resource['local_authentication_disabled'];
}

/** What azurerm 5 calls otherwise, of what stands in the stacks: its upgrade guide, "5.0". */
const changes: { readonly [kind: string]: (resource: Resource) => void } = {
  azurerm_application_insights: localAuthentication,
  azurerm_cosmosdb_account: localAuthentication,
  azurerm_private_dns_a_record: byZoneId('zone_name'),
  azurerm_private_dns_zone_virtual_network_link: byZoneId('private_dns_zone_name'),
};

/** A stack as azurerm 5 wants it, where no provider of the version that the bindings are of can be had. */
export function forAzurerm5(stack: Json): Json {
  const copy = structuredClone(stack);
  const resources = copy['resource'] as { [kind: string]: { [name: string]: Resource } };
  for (const [kind, change] of Object.entries(changes)) {
    for (const resource of Object.values(resources[kind] ?? {})) change(resource);
  }
  return copy;
}
