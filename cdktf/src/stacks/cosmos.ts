import { CosmosdbAccount } from '@cdktn/provider-azurerm/lib/cosmosdb-account/index.js';
import { CosmosdbSqlContainer } from '@cdktn/provider-azurerm/lib/cosmosdb-sql-container/index.js';
import { CosmosdbSqlDatabase } from '@cdktn/provider-azurerm/lib/cosmosdb-sql-database/index.js';
import { CosmosdbSqlRoleAssignment } from '@cdktn/provider-azurerm/lib/cosmosdb-sql-role-assignment/index.js';
import type { Identity } from './identity.ts';
import type { Network } from './network.ts';
import type { Site } from './site.ts';
import { databaseName, type Store } from './store-type.ts';

type Settings = Extract<Site['configuration']['store'], { kind: 'cosmos' }>;

/** "Cosmos DB Built-in Data Contributor", which is none of Azure's ordinary roles. */
const dataContributor = '00000000-0000-0000-0000-000000000002';

/** Containers as the gateway makes them where it may; an identity for data alone may not. What it never asks for is not indexed. */
const containers = {
  management: ['/pk/?', '/kind/?', '/place/?', '/ix/*', '/sequence/?', '/audit/*'],
  usage: ['/pk/?', '/day/?', '/cost/?', '/oldest/?', '/newest/?', '/lookup/*'],
};

/** A Cosmos DB account without keys, paid by request, or scaled by itself. */
export function createCosmos(
  { stack, base, name, configuration }: Site,
  { maxThroughput }: Settings,
  identity: Identity,
  network: Network | undefined,
): Store {
  const { isProtected } = configuration;
  const lifecycle = { preventDestroy: isProtected };
  const account = new CosmosdbAccount(stack, 'cosmos', {
    ...base,
    name: name('cosmos'),
    offerType: 'Standard',
    kind: 'GlobalDocumentDB',
    localAuthenticationDisabled: true,
    accessKeyMetadataWritesEnabled: false,
    minimalTlsVersion: 'Tls12',
    publicNetworkAccessEnabled: network === undefined,
    consistencyPolicy: { consistencyLevel: 'Session' },
    backup: { type: 'Continuous', tier: isProtected ? 'Continuous30Days' : 'Continuous7Days' },
    // Paid by request there is one region without zones.
    geoLocation: [
      {
        location: base.location,
        failoverPriority: 0,
        zoneRedundant: isProtected && maxThroughput !== undefined,
      },
    ],
    ...(maxThroughput === undefined && { capabilities: [{ name: 'EnableServerless' }] }),
    lifecycle,
  });
  const within = { resourceGroupName: base.resourceGroupName, accountName: account.name };
  const database = new CosmosdbSqlDatabase(stack, 'cosmos-database', {
    ...within,
    name: databaseName,
    lifecycle,
  });
  for (const [id, indexed] of Object.entries(containers)) {
    new CosmosdbSqlContainer(stack, `cosmos-${id}`, {
      ...within,
      databaseName: database.name,
      name: id,
      partitionKeyPaths: ['/pk'],
      partitionKeyVersion: 2,
      // Items go by time only where they say so.
      defaultTtl: -1,
      indexingPolicy: {
        indexingMode: 'consistent',
        includedPath: indexed.map((path) => ({ path })),
        excludedPath: [{ path: '/*' }],
      },
      ...(maxThroughput !== undefined && { autoscaleSettings: { maxThroughput } }),
      lifecycle,
    });
  }
  identity.grants.push(
    new CosmosdbSqlRoleAssignment(stack, `grant-${identity.actor}-cosmos`, {
      ...within,
      principalId: identity.resource.principalId,
      roleDefinitionId: `${account.id}/sqlRoleDefinitions/${dataContributor}`,
      scope: account.id,
    }),
  );
  network?.connect({ id: 'cosmos', resourceId: account.id, kind: 'cosmos' });
  return {
    variables: {
      COSMOS_ENDPOINT: { value: `https://${account.name}.documents.azure.com` },
      COSMOS_DATABASE: { value: databaseName },
    },
    watched: { id: account.id, kind: 'cosmos' },
  };
}
