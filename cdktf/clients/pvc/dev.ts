import { configuration } from '../../src/config.ts';
import { defaultModels, deployments } from '../pvc.ts';

const { chat, embeddings } = deployments(100);

export default configuration({
  client: 'pvc',
  environment: 'dev',
  // One replica: without a Redis several would count limits each for itself.
  proxy: { minReplicas: 0, maxReplicas: 1 },
  openai: [{ region: 'swedencentral', deployments: [chat, embeddings] }],
  defaultModels,
});
