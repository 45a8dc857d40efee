import { configuration } from '../../src/config.ts';

/** Two regions behind one address, PostgreSQL, the client's own registry and state. */
export default configuration({
  client: 'contoso',
  environment: 'prod',
  project: 'contosogw',
  location: 'westeurope',
  tenantId: '11111111-1111-4111-8111-111111111111',
  subscriptionId: '33333333-3333-4333-8333-333333333333',
  state: { resourceGroup: 'terraform', storageAccount: 'contosoterraform', container: 'aigateway' },
  registry: {
    loginServer: 'contoso.azurecr.io',
    resourceId:
      '/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/contoso',
  },
  isProtected: true,
  topology: 'separate',
  proxy: { minReplicas: 2, maxReplicas: 20 },
  redis: { kind: 'managed', sku: 'Balanced_B3' },
  store: { kind: 'postgres', sku: 'GP_Standard_D2ds_v5', storageGb: 128, isHighlyAvailable: true },
  frontDoor: { wafMode: 'Prevention', allowedIps: ['203.0.113.0/24', '198.51.100.0/24'] },
  furtherRegions: [{ location: 'northeurope' }],
  openai: [
    {
      region: 'westeurope',
      deployments: [{ name: 'gpt-4o', model: 'gpt-4o', version: '2024-11-20', capacity: 300 }],
    },
    {
      region: 'northeurope',
      deployments: [{ name: 'gpt-4o', model: 'gpt-4o', version: '2024-11-20', capacity: 300 }],
    },
  ],
  contacts: ['gateway@contoso.example'],
});
