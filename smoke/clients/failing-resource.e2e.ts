import OpenAI, { AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultSpec } from '../simulator/faults.ts';
import { failures } from './failing-resource.ts';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { environmentFor } from './settings.ts';
import { models } from './simulated-azure.ts';

const every = [models.plain, models.reasoning, models.chatOnly, models.codex];
const callsAtOnce = 20;

const prompts = Array.from({ length: callsAtOnce }, (_, index) => `${canary} ${String(index)}.`);
const echoes = prompts.map((prompt) => expect.stringContaining(`You said: ${prompt}`) as string);

/** Each kind of failure, of each resource, for as long as the test runs. */
const cases = ['east', 'west'].flatMap((resource) =>
  failures.map(({ name, fault: { times: _once, ...fault } }) => ({
    name: `${resource} ${name}`,
    fault: { ...fault, resource } as FaultSpec,
  })),
);

// A stage for each: what the gateway has learned of one failure must not help with the next.
describe.each(cases)('openai for Node, while $name', ({ fault }) => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await startStage();
    stage.simulator.fault(fault);
  });

  afterAll(async () => {
    await stage.end();
  });

  const openai = (): OpenAI => {
    const settings = environmentFor('openai.env', stage);
    return new OpenAI({
      baseURL: settings['OPENAI_BASE_URL'],
      apiKey: settings['OPENAI_API_KEY'],
      maxRetries: 0,
    });
  };
  const azure = (): AzureOpenAI => {
    const settings = environmentFor('azure-openai.env', stage);
    return new AzureOpenAI({
      endpoint: settings['AZURE_OPENAI_ENDPOINT'],
      apiKey: settings['AZURE_OPENAI_API_KEY'],
      apiVersion: settings['OPENAI_API_VERSION'],
      maxRetries: 0,
    });
  };

  /** Calls at once, so that either resource is asked first by some of them; the SDK's own retries are off. */
  const ask = async (one: (model: string, prompt: string) => Promise<string>): Promise<string[]> =>
    await Promise.all(
      prompts.map(async (prompt, index) => await one(every[index % every.length] ?? '', prompt)),
    );

  it('OpenAI sees nothing of it on streamed chats', async () => {
    const answers = await ask(async (model, prompt) => {
      const messages = [{ role: 'user' as const, content: prompt }];
      const { content } = await openai()
        .chat.completions.stream({ model, messages })
        .finalMessage();
      return content ?? '';
    });
    expect(answers).toEqual(echoes);
  });

  it('AzureOpenAI sees nothing of it on whole chats', async () => {
    const answers = await ask(async (model, prompt) => {
      const messages = [{ role: 'user' as const, content: prompt }];
      const answer = await azure().chat.completions.create({ model, messages });
      return answer.choices[0]?.message.content ?? '';
    });
    expect(answers).toEqual(echoes);
  });

  it('OpenAI sees nothing of it on streamed responses', async () => {
    const answers = await ask(async (model, prompt) => {
      const stream = openai().responses.stream({ model, input: prompt });
      return (await stream.finalResponse()).output_text;
    });
    expect(answers).toEqual(echoes);
  });

  it('OpenAI sees nothing of it on vectors', async () => {
    const answers = await Promise.all(
      Array.from({ length: callsAtOnce }, async () => {
        return await openai().embeddings.create({
          model: models.embeddings,
          input: [canary, 'two'],
        });
      }),
    );
    expect(answers.map(({ data }) => data.length)).toEqual(answers.map(() => 2));
  });
});
