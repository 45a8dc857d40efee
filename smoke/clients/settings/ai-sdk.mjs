import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';

// GATEWAY_URL=https://gateway.example.com
const baseURL = `${process.env.GATEWAY_URL}/v1`;
const apiKey = process.env.GATEWAY_KEY;

export const openai = createOpenAI({ baseURL, apiKey });
export const compatible = createOpenAICompatible({
  name: 'gateway',
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
export const azure = createAzure({ baseURL: `${process.env.GATEWAY_URL}/openai`, apiKey });
