import { configuration } from '../../src/config.ts';

/** The smallest with a control plane: both planes in one app, and a Cosmos DB that is paid by request. */
export default configuration({
  client: 'contoso',
  environment: 'dev',
  project: 'contosogw',
  location: 'westeurope',
  tenantId: '11111111-1111-4111-8111-111111111111',
  topology: 'all',
  proxy: { maxReplicas: 1, allowedIps: ['203.0.113.0/24'] },
  store: { kind: 'cosmos' },
  openai: [
    {
      region: 'westeurope',
      existing: {
        endpoint: 'https://contoso-models.openai.azure.com',
        resourceId:
          '/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/models/providers/Microsoft.CognitiveServices/accounts/contoso-models',
        signIn: 'key',
      },
      deployments: [{ name: 'chat', model: 'gpt-4o', capacity: 50 }],
    },
  ],
});
