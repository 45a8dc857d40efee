import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCases } from './cases.ts';
import type { Cases } from './cases.ts';
import { clientsFolder, describeClient } from './client-packages.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { embeddingDimensions, models } from './simulated-azure.ts';

const language = [models.plain, models.reasoning, models.chatOnly, models.codex];
const prompt = `${canary} Say hello.`;

describeClient('LangChain', ['@langchain/openai', '@langchain/core', 'zod'], () => {
  let stage: Stage;
  let cases: Cases;

  beforeAll(async () => {
    stage = await startStage();
    const home = stage.home('langchain');
    cases = await runCases({
      file: process.execPath,
      args: [join(clientsFolder, 'programs', 'langchain.mjs')],
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

  describe.each(['ChatOpenAI', 'AzureChatOpenAI'])('%s', (way) => {
    it.each(language)('gets a text of %s and streams it, with usage', (model) => {
      const text = {
        text: expect.stringContaining(`You said: ${prompt}`) as string,
        tokens: expect.any(Number) as number,
      };
      expect(cases.value(`text, ${way}, ${model}`)).toEqual(text);
      expect(cases.value(`stream, ${way}, ${model}`)).toEqual(text);
    });

    it.each(language)('has a tool called by %s and goes on with its result', (model) => {
      expect(cases.value(`tool loop, ${way}, ${model}`)).toEqual({
        text: expect.stringContaining('The tool returned: 21 degrees in Oslo') as string,
        calls: 1,
      });
    });

    it.each(language)('gets an object of %s that fits its schema', (model) => {
      expect(cases.value(`object, ${way}, ${model}`)).toEqual({
        city: expect.any(String) as string,
      });
    });
  });

  it('gets vectors', () => {
    expect(cases.value('embeddings')).toEqual([
      embeddingDimensions,
      embeddingDimensions,
      embeddingDimensions,
    ]);
  });

  it('shows the message of a refusal', () => {
    expect(cases.failure('unknown model')).toMatchObject({
      status: 404,
      message: expect.stringContaining('no-such-model') as string,
    });
  });
});
