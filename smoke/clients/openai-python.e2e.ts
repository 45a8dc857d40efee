import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCases } from './cases.ts';
import type { Cases } from './cases.ts';
import { clientsFolder, describeUnless } from './client-packages.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { preparePython } from './python-environment.ts';
import { environmentFor } from './settings.ts';
import { embeddingDimensions, models } from './simulated-azure.ts';

const language = [models.plain, models.reasoning, models.chatOnly, models.codex];
const prompt = `${canary} Say hello.`;
const said = expect.stringContaining(`You said: ${prompt}`) as string;
const someTokens = expect.any(Number) as number;

const python = await preparePython();
const lacking = 'missing' in python ? `missing: ${python.missing}` : undefined;

describeUnless(lacking, 'openai for Python', () => {
  let stage: Stage;
  let cases: Cases;

  beforeAll(async () => {
    if ('missing' in python) throw new Error(python.missing);
    stage = await startStage();
    const home = stage.home('python');
    cases = await runCases({
      file: python.interpreter,
      args: [join(clientsFolder, 'programs', 'openai_python.py')],
      environment: stage.environment(home, {
        PYTHONDONTWRITEBYTECODE: '1',
        ...environmentFor('openai.env', stage),
        ...environmentFor('azure-openai.env', stage),
        MODELS: JSON.stringify({ ...models, language }),
        PROMPT: prompt,
        SLOW_KEY: stage.slowKey,
      }),
      cwd: home,
    });
  });

  afterAll(async () => {
    await stage.end();
  });

  describe.each(['OpenAI', 'AzureOpenAI', 'AsyncOpenAI', 'AsyncAzureOpenAI'])('%s', (kind) => {
    it.each(language)('gets a chat completion of %s and streams one, with usage', (model) => {
      const answer = { text: said, finish: 'stop', tokens: someTokens };
      expect(cases.value(`chat, ${kind}, ${model}`)).toEqual(answer);
      expect(cases.value(`chat_stream, ${kind}, ${model}`)).toEqual(answer);
    });

    it.each(language)('has a tool called by %s and goes on with its result', (model) => {
      expect(cases.value(`tool_turn, ${kind}, ${model}`)).toEqual({
        name: 'weather',
        arguments: { city: expect.any(String) as string },
        text: expect.stringContaining('The tool returned: 21 degrees') as string,
      });
    });

    it.each(language)('gets a response of %s and streams one', (model) => {
      expect(cases.value(`responses, ${kind}, ${model}`)).toEqual({
        text: said,
        status: 'completed',
        tokens: someTokens,
      });
      expect(cases.value(`responses_stream, ${kind}, ${model}`)).toEqual({
        text: said,
        first: 'response.created',
        last: 'response.completed',
      });
    });

    it('continues, retrieves and deletes a stored response', () => {
      expect(cases.value(`stored, ${kind}`)).toEqual({
        continued: expect.stringContaining('You said: And now?') as string,
        same: true,
      });
    });

    it('gets the same vectors whether the wire carries base64 or numbers', () => {
      expect(cases.value(`embeddings, ${kind}`)).toEqual({
        lengths: [embeddingDimensions, embeddingDimensions, embeddingDimensions],
        near: true,
      });
    });

    it('lists every model', () => {
      expect(cases.value(`model_ids, ${kind}`)).toEqual(Object.values(models).toSorted());
    });

    it('raises its own class of error for a wrong key and for an unknown model', () => {
      expect(cases.failure(`wrong_key, ${kind}`)).toMatchObject({
        type: 'AuthenticationError',
        status: 401,
      });
      expect(cases.failure(`unknown_model, ${kind}`)).toMatchObject({
        type: 'NotFoundError',
        status: 404,
        message: expect.stringContaining('no-such-model') as string,
      });
    });
  });

  it('is told how long to wait when its key is at its limit', () => {
    const failure = cases.failure('over_limit');
    expect(failure).toMatchObject({ type: 'RateLimitError', status: 429 });
    expect(Number(failure.retryAfter)).toBeGreaterThan(0);
  });
});
