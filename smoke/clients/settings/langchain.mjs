import { AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';

// GATEWAY_URL=https://gateway.example.com
const baseURL = `${process.env.GATEWAY_URL}/v1`;
const apiKey = process.env.GATEWAY_KEY;

export const chat = (model) => new ChatOpenAI({ model, apiKey, configuration: { baseURL } });

export const azureChat = (model) =>
  new AzureChatOpenAI({
    model,
    azureOpenAIEndpoint: process.env.GATEWAY_URL,
    azureOpenAIApiKey: apiKey,
    azureOpenAIApiDeploymentName: model,
    azureOpenAIApiVersion: '2025-04-01-preview',
  });

export const embeddings = (model) =>
  new OpenAIEmbeddings({ model, apiKey, configuration: { baseURL } });
