import type { OperationFacts } from './operation.ts';

export const embeddings: OperationFacts = {
  name: 'embeddings',
  path: '/embeddings',
  streams: false,
  outputLimits: [],
  choices: [],
  usageOnRequest: false,
  meaning: () => 'output',
  errorEvent: (error) => `data: ${JSON.stringify({ error })}\n\n`,
};
