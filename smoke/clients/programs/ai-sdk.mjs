import {
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  jsonSchema,
  stepCountIs,
  streamText,
  tool,
} from 'ai';
import { azure, compatible, openai } from '../settings/ai-sdk.mjs';
import { report } from './report.mjs';

const { MODELS, PROMPT } = process.env;
const models = JSON.parse(MODELS);
const stopAfter = stepCountIs ?? isStepCount;

/** Each way of the SDK to a language model, by its name in the tests. */
const ways = {
  'openai, default': (model) => openai(model),
  'openai, chat': (model) => openai.chat(model),
  'openai-compatible': (model) => compatible.chatModel(model),
  'azure, default': (model) => azure(model),
  'azure, chat': (model) => azure.chat(model),
};

const weather = tool({
  description: 'Tells the weather',
  inputSchema: jsonSchema({
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  }),
  execute: ({ city }) => `21 degrees in ${city}`,
});

const object = jsonSchema({
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
});

function casesOf(way, model) {
  const of = (name) => `${name}, ${way}, ${model}`;
  const languageModel = ways[way](model);
  return {
    [of('text')]: async () => {
      const { text, finishReason, usage } = await generateText({
        model: languageModel,
        prompt: PROMPT,
      });
      return { text, finishReason, tokens: usage.totalTokens };
    },
    [of('stream')]: async () => {
      const { textStream, finishReason, usage } = streamText({
        model: languageModel,
        prompt: PROMPT,
      });
      let text = '';
      for await (const piece of textStream) text += piece;
      return { text, finishReason: await finishReason, tokens: (await usage).totalTokens };
    },
    [of('tool loop')]: async () => {
      const { text, steps } = await generateText({
        model: languageModel,
        tools: { weather },
        stopWhen: stopAfter(4),
        prompt: `[SIM:tool weather {"city":"Oslo"}] ${PROMPT}`,
      });
      return { text, steps: steps.length };
    },
    [of('streamed tool loop')]: async () => {
      const { fullStream, text, steps } = streamText({
        model: languageModel,
        tools: { weather },
        stopWhen: stopAfter(4),
        prompt: `[SIM:tool weather {"city":"Oslo"}] ${PROMPT}`,
      });
      for await (const part of fullStream) if (part.type === 'error') throw part.error;
      return { text: await text, steps: (await steps).length };
    },
    [of('object')]: async () => {
      const answer = await generateObject({ model: languageModel, schema: object, prompt: PROMPT });
      return answer.object;
    },
  };
}

const cases = {};
for (const way of Object.keys(ways)) {
  for (const model of models.language) Object.assign(cases, casesOf(way, model));
}
for (const [name, provider] of Object.entries({ openai, azure })) {
  cases[`embeddings, ${name}`] = async () => {
    const { embeddings, usage } = await embedMany({
      model:
        provider.embeddingModel?.(models.embeddings) ??
        provider.textEmbeddingModel(models.embeddings),
      values: ['one', 'two', 'three'],
    });
    return { lengths: embeddings.map((vector) => vector.length), tokens: usage.tokens };
  };
}
cases['unknown model'] = async () =>
  await generateText({ model: openai('no-such-model'), prompt: PROMPT, maxRetries: 0 });

await report(cases);
