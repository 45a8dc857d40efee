import OpenAI, { AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canary, startStage } from './harness.ts';
import type { Stage } from './harness.ts';
import { environmentFor } from './settings.ts';
import { embeddingDimensions, models } from './simulated-azure.ts';

let stage: Stage;
let openai: OpenAI;
let azure: AzureOpenAI;

beforeAll(async () => {
  stage = await startStage();
  const own = environmentFor('openai.env', stage);
  openai = new OpenAI({
    baseURL: own['OPENAI_BASE_URL'],
    apiKey: own['OPENAI_API_KEY'],
    maxRetries: 0,
  });
  const azures = environmentFor('azure-openai.env', stage);
  azure = new AzureOpenAI({
    endpoint: azures['AZURE_OPENAI_ENDPOINT'],
    apiKey: azures['AZURE_OPENAI_API_KEY'],
    apiVersion: azures['OPENAI_API_VERSION'],
    maxRetries: 0,
  });
});

afterAll(async () => {
  await stage.end();
});

const hello = `${canary} Say hello.`;
const said = `You said: ${hello}`;
const asked = { role: 'user' as const, content: hello };
const weather = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const weatherTool = {
  type: 'function' as const,
  function: { name: 'weather', parameters: weather },
};
const everyChatModel = [models.plain, models.reasoning, models.chatOnly, models.codex];

/** Both classes; what holds for one holds for the other. */
const classes = [
  { name: 'OpenAI', client: () => openai },
  { name: 'AzureOpenAI', client: () => azure },
];

describe.each(classes)('$name of openai for Node, on chat completions', ({ client }) => {
  it.each(everyChatModel)('gets an answer of %s with usage and a reason to stop', async (model) => {
    const answer = await client().chat.completions.create({ model, messages: [asked] });
    expect(answer.choices[0]?.message.content).toContain(said);
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.usage?.total_tokens).toBeGreaterThan(0);
    expect(answer.object).toBe('chat.completion');
  });

  it.each(everyChatModel)('puts the stream of %s together with its helper', async (model) => {
    const stream = client().chat.completions.stream({
      model,
      messages: [asked],
      stream_options: { include_usage: true },
    });
    const answer = await stream.finalChatCompletion();
    expect(answer.choices[0]?.message.content).toContain(said);
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
  });

  it.each(everyChatModel)('has a tool called by %s and goes on with its result', async (model) => {
    const first = await client().chat.completions.create({
      model,
      messages: [asked],
      tools: [weatherTool],
      tool_choice: 'required',
    });
    const message = first.choices[0]?.message;
    const call = message?.tool_calls?.[0];
    expect(first.choices[0]?.finish_reason).toBe('tool_calls');
    if (message === undefined || call?.type !== 'function') throw new Error('no call');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String) as string });
    const second = await client().chat.completions.create({
      model,
      messages: [asked, message, { role: 'tool', tool_call_id: call.id, content: '21 degrees' }],
      tools: [weatherTool],
    });
    expect(second.choices[0]?.message.content).toContain('The tool returned: 21 degrees');
  });

  it.each(everyChatModel)('streams two calls of tools at once from %s, whole', async (model) => {
    const stream = client().chat.completions.stream({
      model,
      messages: [
        {
          role: 'user',
          content: `${canary} [SIM:tool weather {"city":"Köln 🌧"}] [SIM:parallel 2]`,
        },
      ],
      tools: [weatherTool],
    });
    const calls = (await stream.finalMessage()).tool_calls ?? [];
    expect(
      calls.map((call) =>
        call.type === 'function' ? JSON.parse(call.function.arguments) : undefined,
      ),
    ).toEqual([{ city: 'Köln 🌧' }, { city: 'Köln 🌧' }]);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
  });

  it.each(everyChatModel)(
    'gets an answer of %s that fits the schema it asked for',
    async (model) => {
      const answer = await client().chat.completions.parse({
        model,
        messages: [asked],
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'weather', schema: weather, strict: true },
        },
      });
      expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({
        city: expect.any(String) as string,
      });
    },
  );
});

describe.each(classes)('$name of openai for Node, on Responses', ({ client }) => {
  const everyModel = [models.plain, models.reasoning, models.codex, models.chatOnly];

  it.each(everyModel)('gets an answer of %s', async (model) => {
    const answer = await client().responses.create({ model, input: hello });
    expect(answer.output_text).toContain(said);
    expect(answer.status).toBe('completed');
    expect(answer.usage?.total_tokens).toBeGreaterThan(0);
  });

  it.each(everyModel)('puts the stream of %s together with its helper', async (model) => {
    const stream = client().responses.stream({ model, input: hello });
    const types: string[] = [];
    stream.on('event', ({ type }) => types.push(type));
    const answer = await stream.finalResponse();
    expect(answer.output_text).toContain(said);
    expect(types[0]).toBe('response.created');
    expect(types.at(-1)).toBe('response.completed');
  });

  it('continues, retrieves and deletes a stored response', async () => {
    const first = await client().responses.create({ model: models.codex, input: hello });
    const second = await client().responses.create({
      model: models.codex,
      input: 'And now?',
      previous_response_id: first.id,
    });
    expect(second.output_text).toContain('You said: And now?');
    expect(second.previous_response_id).toBe(first.id);
    const again = await client().responses.retrieve(first.id);
    expect(again.id).toBe(first.id);
    expect(again.output_text).toBe(first.output_text);
    const items = await client().responses.inputItems.list(second.id);
    expect(items.data.length).toBeGreaterThan(0);
    await client().responses.delete(first.id);
    await expect(client().responses.retrieve(first.id)).rejects.toBeInstanceOf(
      OpenAI.NotFoundError,
    );
  });

  it('carries encrypted reasoning into the next turn of a conversation that is not stored', async () => {
    const body = {
      model: models.codex,
      store: false,
      include: ['reasoning.encrypted_content' as const],
      tools: [{ type: 'function' as const, name: 'weather', parameters: weather, strict: true }],
    };
    for (let conversation = 0; conversation < 4; conversation += 1) {
      const first = await client().responses.create({
        ...body,
        input: [asked],
        tool_choice: 'required',
      });
      const call = first.output.find(({ type }) => type === 'function_call');
      if (call?.type !== 'function_call') throw new Error('no call');
      const second = await client().responses.create({
        ...body,
        input: [
          asked,
          ...first.output,
          { type: 'function_call_output', call_id: call.call_id, output: '21 degrees' },
        ] as OpenAI.Responses.ResponseInput,
      });
      expect(second.output_text).toContain('The tool returned: 21 degrees');
    }
  });
});

describe.each(classes)('$name of openai for Node, elsewhere', ({ client }) => {
  it('gets the same vectors whether the wire carries base64 or numbers', async () => {
    const body = { model: models.embeddings, input: ['one', 'two', 'three'] };
    const packed = await client().embeddings.create(body);
    const plain = await client().embeddings.create({ ...body, encoding_format: 'float' });
    expect(packed.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(packed.data.map(({ embedding }) => embedding.length)).toEqual(
      Array.from({ length: 3 }, () => embeddingDimensions),
    );
    const rounded = plain.data.map(({ embedding }) => embedding.map(Math.fround));
    expect(packed.data.map(({ embedding }) => embedding)).toEqual(rounded);
    expect(packed.usage.prompt_tokens).toBeGreaterThan(0);
  });

  it('gets shortened vectors', async () => {
    const answer = await client().embeddings.create({
      model: models.embeddings,
      input: 'one',
      dimensions: 256,
    });
    expect(answer.data[0]?.embedding).toHaveLength(256);
  });

  it('completes a text with a model for completions', async () => {
    const answer = await client().completions.create({ model: models.completions, prompt: hello });
    expect(answer.choices[0]?.text).toContain(canary);
  });

  it('lists every model by the names it may be called by', async () => {
    const page = await client().models.list();
    expect(page.data.map(({ id }) => id).toSorted()).toEqual(Object.values(models).toSorted());
    expect(page.data[0]).toMatchObject({ object: 'model', owned_by: expect.any(String) as string });
  });

  it('raises its own class of error for each kind of refusal', async () => {
    const stranger = client().withOptions({ apiKey: 'sk-nobody-knows-this-key' });
    const refused = await failureOf(stranger.models.list());
    expect(refused).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(refused.status).toBe(401);
    const call = await failureOf(
      stranger.chat.completions.create({ model: models.plain, messages: [asked] }),
    );
    expect(call).toBeInstanceOf(OpenAI.AuthenticationError);

    const unknown = await failureOf(
      client().chat.completions.create({ model: 'no-such-model', messages: [asked] }),
    );
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    expect(unknown.message).toContain('no-such-model');

    const blocked = await failureOf(
      client().chat.completions.create({
        model: models.plain,
        messages: [{ role: 'user', content: `${canary} [SIM:block-prompt]` }],
      }),
    );
    expect(blocked).toBeInstanceOf(OpenAI.BadRequestError);
    expect(blocked.code).toBe('content_filter');

    const wrong = await failureOf(
      client().chat.completions.create({ model: models.plain, messages: [] }),
    );
    expect(wrong).toBeInstanceOf(OpenAI.BadRequestError);
  });
});

describe('openai for Node, when there is too much to do', () => {
  it('is told how long to wait when every resource is at its limit', async () => {
    const fault = stage.simulator.fault({
      kind: 'rate-limit',
      deployment: models.limited,
      retryAfterMs: 45_000,
    });
    const refused = await failureOf(
      openai.chat.completions.create({ model: models.limited, messages: [asked] }),
    );
    fault.remove();
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    const seconds = Number(refused.headers?.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
  });

  it('is told how long to wait when its key is at its limit', async () => {
    const slow = openai.withOptions({ apiKey: stage.slowKey });
    const ask = () => slow.chat.completions.create({ model: models.plain, messages: [asked] });
    // The minute may turn between two calls, but not twice among three.
    const refused = await failureOf(ask().then(ask).then(ask));
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    const seconds = Number(refused.headers?.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
  });
});

async function failureOf(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof OpenAI.APIError)) throw new Error(`no refusal: ${String(outcome)}`);
  return outcome;
}
