import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'chat-only', model: 'gpt-4' },
            { name: 'thinking', model: 'gpt-5', operations: ['chat.completions'] },
          ],
        },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'chat-only' },
      {
        resourceName: 'east',
        deployment: 'chat-only',
        id: 'declared',
        model: 'declared',
        operations: ['chat'],
      },
      { resourceName: 'east', deployment: 'thinking' },
      {
        resourceName: 'east',
        deployment: 'chat-only',
        id: 'classic',
        model: 'classic',
        dialect: 'classic',
        apiVersion: '2024-10-21',
      },
    ],
  });
});
afterEach(() => gateway.close());

function posts(): (string | undefined)[] {
  return gateway.simulator
    .requests()
    .flatMap(({ operation, url, method }) => (method === 'POST' ? [operation ?? url] : []));
}

describe('responses for a model that answers only chat', () => {
  it('learns it once and bridges from then on', async () => {
    const first = await gateway.call('/v1/responses', responsesBody('chat-only', 'one'));
    expect(first.status).toBe(200);
    expect(posts()).toEqual(['responses', 'chat.completions']);
    const second = await gateway.call('/v1/responses', responsesBody('chat-only', 'two'));
    expect(second.headers.get('x-aigateway-changes')).toContain('responses>chat');
    expect(posts()).toEqual(['responses', 'chat.completions', 'chat.completions']);
    expect(await second.json()).toMatchObject({ object: 'response', status: 'completed' });
  });

  it('needs no refusal where the operations are declared', async () => {
    expect((await gateway.call('/v1/responses', responsesBody('declared', 'x'))).status).toBe(200);
    expect(posts()).toEqual(['chat.completions']);
  });

  it('bridges where the api-version of a deployment is too old for responses', async () => {
    const answer = await gateway.call('/v1/responses', responsesBody('classic', 'old'));
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('You said: old');
  });

  it('serves a Codex turn: instructions, tools, a call and its output, store false, as a stream', async () => {
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: callerKey, maxRetries: 0 });
    const tools = [
      {
        type: 'function' as const,
        name: 'shell',
        strict: false,
        parameters: { type: 'object', properties: { command: { type: 'string' } } },
      },
    ];
    const common = {
      model: 'thinking',
      instructions: 'You are a coding agent.',
      tools,
      tool_choice: 'auto' as const,
      parallel_tool_calls: false,
      reasoning: { effort: 'medium' as const, summary: 'auto' as const },
      store: false,
      include: ['reasoning.encrypted_content' as const],
      prompt_cache_key: 'session-1',
    };
    const question = {
      type: 'message' as const,
      role: 'user' as const,
      content: [{ type: 'input_text' as const, text: 'list [SIM:tool shell {"command":"ls"}]' }],
    };
    const turn = await client.responses.stream({ ...common, input: [question] }).finalResponse();
    const call = turn.output.find((item) => item.type === 'function_call');
    expect(call).toMatchObject({ name: 'shell', arguments: '{"command":"ls"}' });
    const next = await client.responses
      .stream({
        ...common,
        input: [
          { ...question, content: [{ type: 'input_text', text: 'list' }] },
          {
            type: 'function_call',
            call_id: call?.call_id ?? '',
            name: 'shell',
            arguments: '{"command":"ls"}',
          },
          { type: 'function_call_output', call_id: call?.call_id ?? '', output: 'a.ts b.ts' },
        ],
      })
      .finalResponse();
    expect(next.output_text).toContain('a.ts b.ts');
    expect(next.usage?.output_tokens_details.reasoning_tokens).toBe(
      gateway.usage.at(-1)?.tokens.reasoning,
    );
  });

  it('ends a stream with every closing event of the Responses API', async () => {
    const events = await readEvents(
      await gateway.call('/v1/responses', responsesBody('chat-only', 'close', { stream: true })),
    );
    const names = events.map(({ event }) => event);
    expect(names[0]).toBe('response.created');
    expect(names.slice(-4)).toEqual([
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const numbers = events.map(
      ({ data }) => (JSON.parse(data) as { sequence_number: number }).sequence_number,
    );
    expect(numbers).toEqual(numbers.toSorted((left, right) => left - right));
  });

  it('hands out no id that leads nowhere', async () => {
    const answer = (await (
      await gateway.call('/v1/responses', responsesBody('chat-only', 'x'))
    ).json()) as { id: string };
    const read = await gateway.call(`/v1/responses/${answer.id}`);
    expect(read.status).toBe(404);
  });
});
