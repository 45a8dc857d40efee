import { configuration } from '../../src/config.ts';
import { defaultModels, deployments } from '../pvc.ts';

const { chat, embeddings } = deployments(500);

export default configuration({
  client: 'pvc',
  environment: 'prod',
  isProtected: true,
  topology: 'separate',
  proxy: { minReplicas: 2 },
  controlPlane: { minReplicas: 2, maxReplicas: 3 },
  redis: { kind: 'managed', sku: 'Balanced_B1' },
  store: { kind: 'cosmos', maxThroughput: 4000 },
  network: {},
  logs: { retentionDays: 90, dailyGb: 10 },
  openai: [
    {
      region: 'swedencentral',
      deployments: [
        {
          ...chat,
          name: `${chat.name}-ptu`,
          alias: chat.name,
          sku: 'DataZoneProvisionedManaged',
          capacity: 25,
        },
        chat,
        embeddings,
      ],
    },
    { region: 'francecentral', deployments: [chat] },
  ],
  defaultModels,
  applicationInsights: true,
  contacts: ['platform@pvc.example', 'on-call@pvc.example'],
  // Nearly all of it is for provisioned units, which are paid by the hour.
  budget: { amount: 25_000, from: '2027-01-01' },
});
