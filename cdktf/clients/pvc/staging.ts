import { configuration } from '../../src/config.ts';
import { defaultModels, deployments } from '../pvc.ts';

const { chat, embeddings } = deployments(100);

export default configuration({
  client: 'pvc',
  environment: 'staging',
  topology: 'separate',
  redis: { kind: 'managed', isHighlyAvailable: false },
  store: { kind: 'cosmos' },
  openai: [{ region: 'swedencentral', deployments: [chat, embeddings] }],
  defaultModels,
  contacts: ['platform@pvc.example'],
  budget: { amount: 300, from: '2027-01-01' },
});
