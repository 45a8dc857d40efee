import { configuration } from '../../src/config.ts';

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
          name: 'gpt-5.3-codex-ptu',
          alias: 'gpt-5.3-codex',
          model: 'gpt-5.3-codex',
          version: '2026-02-24',
          sku: 'DataZoneProvisionedManaged',
          capacity: 25,
        },
        { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex', version: '2026-02-24', capacity: 500 },
        {
          name: 'text-embedding-3-small',
          model: 'text-embedding-3-small',
          version: '1',
          capacity: 500,
        },
      ],
    },
    {
      region: 'francecentral',
      deployments: [
        { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex', version: '2026-02-24', capacity: 500 },
      ],
    },
  ],
  defaultModels: {
    chat: 'gpt-5.3-codex',
    responses: 'gpt-5.3-codex',
    embeddings: 'text-embedding-3-small',
  },
  applicationInsights: true,
  contacts: ['platform@pvc.example', 'on-call@pvc.example'],
  budget: { amount: 4000, from: '2027-01-01' },
});
