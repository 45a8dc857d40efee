import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCases } from './cases.ts';
import type { Cases } from './cases.ts';
import { clientsFolder, describeClient } from './client-packages.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { embeddingDimensions, models } from './simulated-azure.ts';

const language = [models.plain, models.reasoning, models.chatOnly, models.codex];
const ways = [
  'openai, default',
  'openai, chat',
  'openai-compatible',
  'azure, default',
  'azure, chat',
];
const prompt = `${canary} Say hello.`;

describeClient(
  'AI SDK',
  ['ai', '@ai-sdk/openai', '@ai-sdk/azure', '@ai-sdk/openai-compatible'],
  () => {
    let stage: Stage;
    let cases: Cases;

    beforeAll(async () => {
      stage = await startStage();
      const home = stage.home('ai-sdk');
      cases = await runCases({
        file: process.execPath,
        args: [join(clientsFolder, 'programs', 'ai-sdk.mjs')],
        environment: stage.environment(home, {
          GATEWAY_URL: stage.url,
          GATEWAY_KEY: stage.key,
          MODELS: JSON.stringify({ language, embeddings: models.embeddings }),
          PROMPT: prompt,
        }),
        cwd: home,
      });
    });

    afterAll(async () => {
      await stage.end();
    });

    describe.each(ways)('%s', (way) => {
      it.each(language)('gets a text of %s, with usage and a reason to stop', (model) => {
        expect(cases.value(`text, ${way}, ${model}`)).toEqual({
          text: expect.stringContaining(`You said: ${prompt}`) as string,
          finishReason: 'stop',
          tokens: expect.any(Number) as number,
        });
      });

      it.each(language)('streams a text of %s, with usage and a reason to stop', (model) => {
        expect(cases.value(`stream, ${way}, ${model}`)).toEqual({
          text: expect.stringContaining(`You said: ${prompt}`) as string,
          finishReason: 'stop',
          tokens: expect.any(Number) as number,
        });
      });

      it.each(language)('has a tool called by %s and goes on with its result', (model) => {
        const done = {
          text: expect.stringContaining('The tool returned: 21 degrees in Oslo') as string,
          steps: 2,
        };
        expect(cases.value(`tool loop, ${way}, ${model}`)).toEqual(done);
        expect(cases.value(`streamed tool loop, ${way}, ${model}`)).toEqual(done);
      });

      it.each(language)('gets an object of %s that fits its schema', (model) => {
        expect(cases.value(`object, ${way}, ${model}`)).toEqual({
          city: expect.any(String) as string,
        });
      });
    });

    it.each(['openai', 'azure'])('gets vectors by the provider %s', (provider) => {
      expect(cases.value(`embeddings, ${provider}`)).toEqual({
        lengths: [embeddingDimensions, embeddingDimensions, embeddingDimensions],
        tokens: expect.any(Number) as number,
      });
    });

    it('shows the message of a refusal', () => {
      expect(cases.failure('unknown model')).toMatchObject({
        type: 'AI_APICallError',
        status: 404,
        message: expect.stringContaining('no-such-model') as string,
      });
    });
  },
);
