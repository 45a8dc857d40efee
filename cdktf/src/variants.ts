import { configuration, type ConfigurationInput } from './config.ts';

/** An id that nobody has. */
const id = (digit: string) => [8, 4, 4, 4, 12].map((length) => digit.repeat(length)).join('-');

const deployments = [{ name: 'chat', model: 'gpt-4o', capacity: 10 }];
const existing = {
  endpoint: 'https://models.openai.azure.com',
  resourceId: `/subscriptions/${id('2')}/resourceGroups/models/providers/Microsoft.CognitiveServices/accounts/models`,
};
const managed = { kind: 'managed' } as const;
const office = ['203.0.113.0/24'];

/**
 * Settings that no client here has, a stack or more for each. They are never applied: that Terraform takes them is what
 * `npm run terraform` finds out, so that a client who turns something on is not the first to try it.
 */
const written: { readonly [name: string]: Partial<ConfigurationInput> } = {
  network: { network: {} },
  inside: {
    network: {
      isInternal: true,
      vaultAllowedIps: office,
      addressSpace: '10.9.0.0/16',
      apps: '10.9.0.0/23',
      endpoints: '10.9.4.0/24',
    },
  },
  list: { proxy: { allowedIps: office, cpu: '2', minReplicas: 3, concurrentRequests: 50 } },
  ownredis: { redis: { kind: 'existing' } },
  smallredis: { redis: { ...managed, isHighlyAvailable: false } },
  onepostgres: { topology: 'all', proxy: { maxReplicas: 1 }, store: { kind: 'postgres' } },
  oneexistingpostgres: {
    topology: 'all',
    proxy: { maxReplicas: 1 },
    store: { kind: 'existing-postgres' },
  },
  throughput: {
    topology: 'all',
    proxy: { maxReplicas: 1 },
    store: { kind: 'cosmos', maxThroughput: 2000 },
    isProtected: true,
  },
  oneexistingcosmos: {
    topology: 'all',
    proxy: { maxReplicas: 1 },
    store: { kind: 'existing-cosmos', endpoint: 'https://store.documents.azure.com' },
  },
  insidepostgres: {
    topology: 'separate',
    network: { isInternal: true },
    redis: managed,
    store: {
      kind: 'postgres',
      sku: 'GP_Standard_D2ds_v5',
      storageGb: 256,
      isHighlyAvailable: true,
    },
    isProtected: true,
  },
  allexisting: {
    topology: 'separate',
    redis: { kind: 'existing' },
    store: { kind: 'existing-postgres' },
    openai: [{ region: 'swedencentral', existing: { ...existing, signIn: 'key' }, deployments }],
  },
  administrators: {
    topology: 'separate',
    redis: managed,
    store: { kind: 'existing-cosmos', endpoint: 'https://store.documents.azure.com' },
    controlPlane: { allowedIps: office },
  },
  writers: {
    topology: 'separate',
    redis: managed,
    store: { kind: 'cosmos' },
    network: { vaultAllowedIps: office },
    secretWriters: [{ principalId: id('4'), principalType: 'Group' }],
  },
  doornetwork: {
    topology: 'separate',
    redis: managed,
    store: { kind: 'postgres' },
    network: {},
    frontDoor: { allowedIps: office, rateLimit: 600 },
  },
  door: { frontDoor: {} },
  doorregions: {
    frontDoor: { wafMode: 'Prevention' },
    furtherRegions: [{ location: 'northeurope' }, { location: 'eastus2' }],
  },
  regions: {
    topology: 'separate',
    redis: managed,
    store: { kind: 'cosmos' },
    furtherRegions: [{ location: 'northeurope' }],
  },
  watched: {
    applicationInsights: true,
    contacts: ['gateway@client.example'],
    budget: { amount: 50, from: '2027-01-01' },
    logs: { retentionDays: 365, dailyGb: 0.5 },
  },
  watchedapps: {
    topology: 'separate',
    redis: managed,
    store: { kind: 'postgres' },
    applicationInsights: true,
    contacts: ['gateway@client.example'],
  },
  own: {
    environment: 'acceptance',
    environmentCode: 'acc',
    prefix: 'abc',
    project: 'own',
    uniqueSuffix: '0f3a',
    repository: 'client/own',
    tenantId: id('1'),
    subscriptionId: id('3'),
    state: { resourceGroup: 'terraform', storageAccount: 'ownterraform', container: 'state' },
    registry: {
      loginServer: 'own.azurecr.io',
      resourceId: `/subscriptions/${id('2')}/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/own`,
    },
  },
  models: {
    openai: [
      {
        region: 'swedencentral',
        deployments: [
          {
            name: 'units',
            alias: 'chat',
            model: 'gpt-4o',
            version: '2024-11-20',
            sku: 'ProvisionedManaged',
            capacity: 15,
          },
          {
            name: 'chat',
            model: 'gpt-4o',
            sku: 'DataZoneStandard',
            capacity: 10,
            apiVersion: '2024-10-21',
          },
        ],
      },
      { region: 'eastus2', deployments },
      { region: 'westeurope', existing, deployments },
    ],
    defaultModels: { chat: 'chat' },
  },
};

/** One configuration for each. */
export const variants = Object.entries(written).map(([client, more]) =>
  configuration({
    client,
    environment: 'dev',
    openai: [{ region: 'swedencentral', deployments }],
    ...more,
  }),
);
