import { configuration } from '../../src/config.ts';

export default configuration({
  client: 'pvc',
  environment: 'staging',
  topology: 'separate',
  redis: { kind: 'managed', isHighlyAvailable: false },
  store: { kind: 'cosmos' },
  openai: [
    {
      region: 'swedencentral',
      deployments: [
        { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex', version: '2026-02-24', capacity: 100 },
        {
          name: 'text-embedding-3-small',
          model: 'text-embedding-3-small',
          version: '1',
          capacity: 100,
        },
      ],
    },
  ],
  defaultModels: {
    chat: 'gpt-5.3-codex',
    responses: 'gpt-5.3-codex',
    embeddings: 'text-embedding-3-small',
  },
  contacts: ['platform@pvc.example'],
  budget: { amount: 300, from: '2027-01-01' },
});
