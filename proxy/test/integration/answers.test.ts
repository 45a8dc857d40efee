import OpenAI, { AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  callerKey,
  readEvents,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;

/** @param dialect - that the upstream is spoken to in, but for the deployment that is there for the classic one */
async function start(dialect: 'v1' | 'openai') {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex' },
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'chat-only', model: 'gpt-4o', operations: ['chat.completions'] },
            { name: 'text-embedding-3-small', model: 'text-embedding-3-small' },
          ],
        },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-5.3-codex', dialect },
      { resourceName: 'east', deployment: 'gpt-4o', dialect },
      {
        resourceName: 'east',
        deployment: 'gpt-4o',
        id: 'classic-4o',
        model: 'gpt-4o-classic',
        dialect: 'classic',
        apiVersion: '2024-10-21',
      },
      { resourceName: 'east', deployment: 'chat-only', dialect },
      { resourceName: 'east', deployment: 'text-embedding-3-small', dialect },
    ],
  });
}

function openai(path = '/v1') {
  return new OpenAI({ baseURL: gateway.url + path, apiKey: callerKey, maxRetries: 0 });
}

describe.each([
  ['Azure', 'v1'],
  ['any other OpenAI-compatible server', 'openai'],
] as const)('in front of %s', (_, dialect) => {
  beforeAll(() => start(dialect));
  afterAll(() => gateway.close());

  describe('chat completions', () => {
    it("answers an SDK with Azure's own bytes and usage", async () => {
      const answer = await openai().chat.completions.create({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'hello there' }],
      });
      expect(answer.choices[0]?.message.content).toContain('hello there');
      expect(answer.usage?.total_tokens).toBeGreaterThan(0);
      const record = gateway.usage.at(-1);
      expect(record).toMatchObject({
        model: 'gpt-4o',
        outcome: 'completed',
        usageSource: 'measured',
        tokens: { input: answer.usage?.prompt_tokens, output: answer.usage?.completion_tokens },
      });
    });

    it('answers through the classic dialect under a name of its own', async () => {
      const answer = await openai().chat.completions.create({
        model: 'gpt-4o-classic',
        messages: [{ role: 'user', content: 'hi' }],
      });
      expect(answer.choices[0]?.message.content).toContain('hi');
      expect(gateway.simulator.requests().at(-1)?.url).toContain(
        '/openai/deployments/gpt-4o/chat/completions',
      );
    });

    it('streams, and gives usage only to who asked for it', async () => {
      const plain = await readEvents(
        await gateway.call('/v1/chat/completions', {
          model: 'gpt-4o',
          stream: true,
          messages: [{ role: 'user', content: 'stream it' }],
        }),
      );
      expect(plain.at(-1)?.data).toBe('[DONE]');
      expect(plain.some(({ data }) => data.includes('"choices":[]'))).toBe(false);
      const asked = await readEvents(
        await gateway.call('/v1/chat/completions', {
          model: 'gpt-4o',
          stream: true,
          stream_options: { include_usage: true },
          messages: [{ role: 'user', content: 'stream it' }],
        }),
      );
      expect(asked.filter(({ data }) => data.includes('"usage":{'))).toHaveLength(1);
      const [first, second] = gateway.usage.slice(-2);
      expect(first?.tokens).toEqual(second?.tokens);
      expect(first?.usageSource).toBe('measured');
    });

    it('works for the Azure class of the SDK', async () => {
      const client = new AzureOpenAI({
        endpoint: gateway.url,
        apiKey: callerKey,
        apiVersion: '2024-10-21',
        maxRetries: 0,
      });
      const answer = await client.chat.completions.create({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'azure' }],
      });
      expect(answer.choices[0]?.message.content).toContain('azure');
    });

    it('reaches a model that answers only responses (P1), stream and whole', async () => {
      const answer = await openai().chat.completions.create({
        model: 'gpt-5.3-codex',
        messages: [{ role: 'user', content: 'write code' }],
        temperature: 0,
      });
      expect(answer.choices[0]?.message.content).toContain('write code');
      expect(answer.choices[0]?.finish_reason).toBe('stop');
      const stream = openai().chat.completions.stream({
        model: 'gpt-5.3-codex',
        messages: [{ role: 'user', content: 'write more code' }],
      });
      expect(await stream.finalContent()).toContain('write more code');
      expect(gateway.usage.at(-1)).toMatchObject({
        operation: 'chat',
        upstreamOperation: 'responses',
        usageSource: 'measured',
      });
    });
  });

  describe('responses', () => {
    it('answers, keeps state behind tagged ids, and leads them back', async () => {
      const client = openai();
      const first = await client.responses.create({ model: 'gpt-5.3-codex', input: 'remember me' });
      expect(first.output_text).toContain('remember me');
      expect(first.id).toContain('agw_');
      const second = await client.responses.create({
        model: 'gpt-5.3-codex',
        input: 'and again',
        previous_response_id: first.id,
      });
      expect(second.previous_response_id).toBe(first.id);
      const read = await client.responses.retrieve(first.id);
      expect(read.id).toBe(first.id);
      const items = await client.responses.inputItems.list(first.id);
      expect(items.data.length).toBeGreaterThan(0);
      await client.responses.delete(first.id);
      await expect(client.responses.retrieve(first.id)).rejects.toMatchObject({ status: 404 });
    });

    it('streams to the terminal event', async () => {
      const stream = openai().responses.stream({ model: 'gpt-5.3-codex', input: 'stream please' });
      const final = await stream.finalResponse();
      expect(final.output_text).toContain('stream please');
      expect(final.id).toContain('agw_');
    });

    it('reaches a model that answers only chat (P2)', async () => {
      const final = await openai()
        .responses.stream({ model: 'chat-only', input: 'reverse', store: false })
        .finalResponse();
      expect(final.output_text).toContain('reverse');
      expect(gateway.usage.at(-1)).toMatchObject({
        operation: 'responses',
        upstreamOperation: 'chat',
      });
    });

    it('takes the default model where none is named (E5)', async () => {
      const response = await gateway.call('/v1/responses', { input: 'no model named' });
      expect(response.status).toBe(200);
      expect(gateway.usage.at(-1)?.model).toBe('gpt-5.3-codex');
    });
  });

  describe('embeddings', () => {
    it('passes base64 and floats through exactly', async () => {
      const client = openai();
      const input = ['one', 'two'];
      const decoded = await client.embeddings.create({ model: 'text-embedding-3-small', input });
      const plain = await client.embeddings.create({
        model: 'text-embedding-3-small',
        input,
        encoding_format: 'float',
      });
      expect(decoded.data.map(({ embedding }) => embedding.length)).toEqual(
        plain.data.map(({ embedding }) => embedding.length),
      );
      expect(decoded.data[0]?.embedding[0]).toBeCloseTo(
        plain.data[0]?.embedding[0] ?? Number.NaN,
        5,
      );
      expect(gateway.usage.at(-1)?.tokens.input).toBe(plain.usage.prompt_tokens);
    });
  });

  describe('models', () => {
    it('lists what the key may use, in OpenAI and LiteLLM form', async () => {
      const models = await openai().models.list();
      expect(models.data.map(({ id }) => id)).toContain('gpt-4o');
      const info = (await (await gateway.call('/v1/model/info')).json()) as {
        data: Record<string, unknown>[];
      };
      for (const row of info.data) {
        expect(row).toMatchObject({
          model_name: expect.any(String),
          litellm_params: { model: expect.any(String) },
          model_info: { id: expect.any(String) },
        });
      }
      expect(JSON.stringify(info)).not.toContain('127.0.0.1');
    });
  });

  it('signs in as it wants it', () => {
    const header = dialect === 'openai' ? 'authorization' : 'api-key';
    const calls = gateway.simulator
      .requests()
      .filter(({ method, url }) => method === 'POST' && !url.includes('deployments'));
    const key = dialect === 'openai' ? 'Bearer east-key' : 'east-key';
    expect(calls.map(({ headers }) => headers[header])).toEqual(calls.map(() => key));
  });
});
