import { NetworkSecurityGroup } from '@cdktn/provider-azurerm/lib/network-security-group/index.js';
import { PrivateDnsARecord } from '@cdktn/provider-azurerm/lib/private-dns-a-record/index.js';
import { PrivateDnsZone } from '@cdktn/provider-azurerm/lib/private-dns-zone/index.js';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktn/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import { PrivateEndpoint } from '@cdktn/provider-azurerm/lib/private-endpoint/index.js';
import { Subnet } from '@cdktn/provider-azurerm/lib/subnet/index.js';
import { SubnetNetworkSecurityGroupAssociation } from '@cdktn/provider-azurerm/lib/subnet-network-security-group-association/index.js';
import { VirtualNetwork } from '@cdktn/provider-azurerm/lib/virtual-network/index.js';
import type { ResourceType } from '../names.ts';
import type { Site } from './site.ts';

export type Network = {
  readonly appsSubnetId: string;
  /** Makes a resource reachable within the network under its usual name. */
  readonly connect: (target: Target) => void;
  /** Makes every name of a domain that is in no public DNS lead to one address. */
  readonly resolve: (domain: string, address: string) => void;
};

export type Target = {
  /** Of the resource, within the stack. */
  readonly id: string;
  readonly resourceId: string;
  readonly kind: keyof typeof kinds;
};

/** What Azure calls the part of a resource that is connected, and the zone that its private names are in. */
const kinds = {
  vault: { part: 'vault', zone: 'privatelink.vaultcore.azure.net', type: 'pepkv' },
  cosmos: { part: 'Sql', zone: 'privatelink.documents.azure.com', type: 'pepdb' },
  postgres: {
    part: 'postgresqlServer',
    zone: 'privatelink.postgres.database.azure.com',
    type: 'pepdb',
  },
  redis: { part: 'redisEnterprise', zone: 'privatelink.redis.azure.net', type: 'pepamr' },
  openai: { part: 'account', zone: 'privatelink.openai.azure.com', type: 'pepoai' },
} as const satisfies {
  readonly [kind: string]: { part: string; zone: string; type: ResourceType };
};

/** The environment's network, where it has one. */
export function createNetwork(site: Site): Network | undefined {
  const { stack, base, name, configuration } = site;
  const { network } = configuration;
  if (network === undefined) return undefined;
  const own = new VirtualNetwork(stack, 'network', {
    ...base,
    name: name('vnet'),
    addressSpace: [network.addressSpace],
  });
  const rules = new NetworkSecurityGroup(stack, 'network-rules', {
    ...base,
    name: name('nsg'),
    securityRule: network.isInternal
      ? []
      : [
          {
            name: 'callers',
            priority: 100,
            direction: 'Inbound',
            access: 'Allow',
            protocol: 'Tcp',
            sourceAddressPrefix: 'Internet',
            sourcePortRange: '*',
            destinationAddressPrefix: network.apps,
            destinationPortRange: '443',
          },
        ],
  });
  const subnet = (id: string, prefix: string, more: object) => {
    const made = new Subnet(stack, `subnet-${id}`, {
      name: id,
      resourceGroupName: base.resourceGroupName,
      virtualNetworkName: own.name,
      addressPrefixes: [prefix],
      ...more,
    });
    new SubnetNetworkSecurityGroupAssociation(stack, `rules-of-${id}`, {
      subnetId: made.id,
      networkSecurityGroupId: rules.id,
    });
    return made;
  };
  const apps = subnet('apps', network.apps, {
    delegation: [
      {
        name: 'container-apps',
        serviceDelegation: {
          name: 'Microsoft.App/environments',
          actions: ['Microsoft.Network/virtualNetworks/subnets/join/action'],
        },
      },
    ],
  });
  const endpoints = subnet('endpoints', network.endpoints, {
    privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled',
  });
  const createZone = (id: string, zoneName: string) => {
    const zone = new PrivateDnsZone(stack, `zone-${id}`, {
      name: zoneName,
      resourceGroupName: base.resourceGroupName,
      tags: base.tags,
    });
    new PrivateDnsZoneVirtualNetworkLink(stack, `zone-link-${id}`, {
      name: id,
      resourceGroupName: base.resourceGroupName,
      privateDnsZoneName: zone.name,
      virtualNetworkId: own.id,
      tags: base.tags,
    });
    return zone;
  };
  const zones = new Map<string, PrivateDnsZone>();
  const zoneOf = (zoneName: string) => {
    const zone = zones.get(zoneName) ?? createZone(zoneName.split('.')[1] ?? zoneName, zoneName);
    zones.set(zoneName, zone);
    return zone;
  };
  const resolve = (domain: string, address: string) => {
    const zone = createZone('apps', domain);
    new PrivateDnsARecord(stack, 'names-of-apps', {
      name: '*',
      zoneName: zone.name,
      resourceGroupName: base.resourceGroupName,
      ttl: 300,
      records: [address],
      tags: base.tags,
    });
  };
  const counts = new Map<string, number>();
  const connect = ({ id, resourceId, kind }: Target) => {
    const { part, zone, type } = kinds[kind];
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    const endpoint = count === 1 ? name(type) : `${name(type)}-${count}`;
    new PrivateEndpoint(stack, `endpoint-${id}`, {
      ...base,
      name: endpoint,
      subnetId: endpoints.id,
      privateServiceConnection: {
        name: id,
        privateConnectionResourceId: resourceId,
        subresourceNames: [part],
        isManualConnection: false,
      },
      privateDnsZoneGroup: { name: 'default', privateDnsZoneIds: [zoneOf(zone).id] },
    });
  };
  return { appsSubnetId: apps.id, connect, resolve };
}
