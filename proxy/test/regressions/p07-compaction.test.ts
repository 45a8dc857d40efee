import type { JsonObject } from '@aigateway/contract/records';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const summary = 'The user builds a tea timer in tea.ts, and the tests are still to be written.';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [
          { name: 'codex', model: 'gpt-5.3-codex' },
          { name: 'chat-only', model: 'gpt-4o', operations: ['chat.completions'] },
        ],
      })),
    },
    deployments: [
      { resourceName: 'east', deployment: 'codex', family: 'reasoning' },
      { resourceName: 'east', deployment: 'chat-only', family: 'standard' },
      {
        resourceName: 'east',
        deployment: 'codex',
        id: 'classic',
        model: 'classic',
        dialect: 'classic',
        apiVersion: '2025-04-01-preview',
      },
      { resourceName: 'west', deployment: 'codex', id: 'elsewhere', model: 'elsewhere' },
    ],
    settings: { forwardHeaders: ['x-sim'] },
  });
});
afterEach(() => gateway.close());

const history: readonly JsonObject[] = [
  user('Write a tea timer.'),
  { type: 'function_call', call_id: 'call_1', name: 'write_file', arguments: '{"path":"tea.ts"}' },
  { type: 'function_call_output', call_id: 'call_1', output: 'written' },
  {
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_text', text: 'Done: tea.ts.', annotations: [] }],
  },
];

function user(text: string): JsonObject {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

/** The members of Codex's compaction request. */
function compactBody(model: string, input: readonly JsonObject[] = history): JsonObject {
  return {
    model,
    instructions: 'You are Codex.',
    input: [...input],
    tools: [{ type: 'function', name: 'write_file', parameters: { type: 'object' } }],
    parallel_tool_calls: true,
    reasoning: { effort: 'medium', summary: 'auto' },
    text: { verbosity: 'low' },
  };
}

type Compaction = { object: string; output: JsonObject[]; usage: { input_tokens: number } };

async function compact(body: JsonObject): Promise<{ response: Response; answer: Compaction }> {
  const response = await gateway.call('/v1/responses/compact', body, {
    headers: { 'x-sim': `say ${summary}` },
  });
  expect(response.status).toBe(200);
  return { response, answer: (await response.json()) as Compaction };
}

function lacksCompaction(): void {
  gateway.simulator.fault({
    kind: 'error',
    error: '404-resource-not-found',
    operation: 'responses.compact',
  });
}

function posts() {
  return gateway.simulator.requests().filter(({ method }) => method === 'POST');
}

function operations(): (string | undefined)[] {
  return posts().map(({ operation, url }) => operation ?? url);
}

describe('compaction for a model that answers only chat', () => {
  it('gives exactly one item, with the usage of the summary that was written', async () => {
    const { response, answer } = await compact(compactBody('chat-only'));
    expect(answer).toMatchObject({
      object: 'response.compaction',
      output: [{ type: 'compaction', id: expect.stringMatching(/^cmp_/) as string }],
    });
    expect(answer.output).toHaveLength(1);
    expect(response.headers.get('x-aigateway-changes')).toContain('responses.compact>chat');
    expect(gateway.usage.at(-1)).toMatchObject({
      outcome: 'completed',
      usageSource: 'measured',
      upstreamOperation: 'chat',
      tokens: { input: answer.usage.input_tokens },
    });
    const body = posts().at(-1)?.body as { messages: JsonObject[]; tools?: unknown };
    expect(body).toMatchObject({ max_completion_tokens: 4096 });
    expect(body.tools).toBeUndefined();
    expect(JSON.stringify(body.messages)).toContain('Done: tea.ts.');
    expect(body.messages.at(-1)?.['role']).toBe('user');
  });

  it('asks for nothing in vain from then on', async () => {
    await compact(compactBody('chat-only'));
    const before = posts().length;
    await compact(compactBody('chat-only'));
    expect(operations().slice(before)).toEqual(['chat.completions']);
  });

  it.each(['chat-only', 'codex', 'classic', 'elsewhere'])(
    'is understood afterwards by %s, wherever it was made',
    async (model) => {
      const { answer } = await compact(compactBody('chat-only'));
      const next = await gateway.call(
        '/v1/responses',
        responsesBody(model, '', { input: [...answer.output, user('Go on.')] }),
      );
      expect(next.status).toBe(200);
      expect(await next.text()).toContain('Go on.');
      expect(next.headers.get('x-aigateway-changes')).toContain('compaction>message');
      const sent = JSON.stringify(posts().at(-1)?.body);
      expect(sent).toContain(summary);
      expect(sent).not.toContain('encrypted_content');
    },
  );

  it.each(['chat-only', 'codex'])('keeps a long session of Codex going with %s', async (model) => {
    lacksCompaction();
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: callerKey, maxRetries: 0 });
    const asCodex = { instructions: 'You are Codex.', store: true, prompt_cache_key: 'session-1' };
    let input = [...history] as unknown as OpenAI.Responses.ResponseInput;
    for (const [round, fact] of ['Tea takes three minutes.', 'Milk comes last.'].entries()) {
      input.push({ role: 'user', content: `Round ${round}.` });
      const turn = await client.responses.stream({ ...asCodex, model, input }).finalResponse();
      expect(turn.output_text).toContain(`You said: Round ${round}.`);
      input.push(...(turn.output as OpenAI.Responses.ResponseInput));
      const compacted = await client.responses.compact(
        { model, input, instructions: asCodex.instructions },
        { headers: { 'x-sim': `say ${fact}` } },
      );
      expect(compacted.output).toHaveLength(1);
      input = compacted.output as OpenAI.Responses.ResponseInput;
      input.push({ role: 'user', content: `And ${round}?` });
      const next = await client.responses.stream({ ...asCodex, model, input }).finalResponse();
      expect(next.output_text).toContain(`You said: And ${round}?`);
      expect(JSON.stringify(posts().at(-1)?.body)).toContain(fact);
    }
  });

  it('hands out nothing that leads to a resource', async () => {
    const { answer } = await compact(compactBody('chat-only'));
    expect(JSON.stringify(answer)).not.toContain('agw_');
  });

  it('tells that there is no summary instead of handing out an empty one', async () => {
    const response = await gateway.call('/v1/responses/compact', compactBody('chat-only'), {
      headers: { 'x-sim': 'refuse' },
    });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_error' } });
  });
});

describe('compaction inside an ordinary turn, as newer Codex asks for it', () => {
  const trigger = { type: 'compaction_trigger' };

  it.each([true, false])('gives exactly one item on a chat model, stream %s', async (stream) => {
    const response = await gateway.call(
      '/v1/responses',
      { ...compactBody('chat-only', [...history, trigger]), stream, store: false },
      { headers: { 'x-sim': `say ${summary}` } },
    );
    expect(response.status).toBe(200);
    let output: JsonObject[];
    if (stream) {
      const events = await readEvents(response);
      expect(events.map(({ event }) => event)).toEqual([
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.output_item.done',
        'response.completed',
      ]);
      const last = JSON.parse(events.at(-1)?.data ?? '') as { response: { output: JsonObject[] } };
      output = last.response.output;
    } else {
      output = ((await response.json()) as { output: JsonObject[] }).output;
    }
    expect(output).toMatchObject([{ type: 'compaction' }]);
    const next = await gateway.call(
      '/v1/responses',
      responsesBody('chat-only', '', { input: [...output, user('Go on.')] }),
    );
    expect(next.status).toBe(200);
    expect(JSON.stringify(posts().at(-1)?.body)).toContain(summary);
  });

  it('is seen at the end of a long session', async () => {
    const input = [user('tea '.repeat(100_000)), trigger];
    const response = await gateway.call('/v1/responses', responsesBody('chat-only', '', { input }));
    expect(await response.json()).toMatchObject({ output: [{ type: 'compaction' }] });
  });

  it.each([
    ['a text that speaks of one', user('{"type":"compaction_trigger"}]')],
    ['a text that ends in one', { role: 'user', content: '[{"type":"compaction_trigger"}]' }],
  ])('is not seen in %s', async (_, item) => {
    const response = await gateway.call(
      '/v1/responses',
      responsesBody('chat-only', '', { input: [item] }),
    );
    expect(response.headers.get('x-aigateway-changes')).toMatch(/^responses>chat/);
  });

  it('stays what it is where the deployment knows it', async () => {
    const response = await gateway.call(
      '/v1/responses',
      responsesBody('codex', '', { input: [user('story'), trigger] }),
    );
    expect(await response.json()).toMatchObject({ output: [{ type: 'compaction' }] });
    expect(operations()).toEqual(['responses']);
    expect(response.headers.get('x-aigateway-changes')).toBeNull();
  });

  it('is written as a summary where the deployment refuses the item, and learned of it alone', async () => {
    gateway.simulator.fault({
      kind: 'error',
      error: '400-compaction-trigger',
      operation: 'responses',
      times: 1,
    });
    for (const attempts of [2, 1]) {
      const response = await gateway.call(
        '/v1/responses',
        responsesBody('codex', '', { input: [user('story'), trigger], stream: true }),
        { headers: { 'x-sim': `say ${summary}` } },
      );
      const text = await response.text();
      expect(text.match(/event: response\.output_item\.done/g)).toHaveLength(1);
      expect(text).toContain('"type":"compaction"');
      expect(gateway.usage.at(-1)?.attempts).toHaveLength(attempts);
    }
    const plain = await gateway.call('/v1/responses', responsesBody('codex', 'hello'));
    expect(plain.headers.get('x-aigateway-changes')).toBeNull();
  });
});

describe('compaction for a deployment that answers responses without it', () => {
  it('is a summary over responses, learned of this path alone', async () => {
    lacksCompaction();
    const { response, answer } = await compact(compactBody('codex'));
    expect(answer.output).toMatchObject([{ type: 'compaction' }]);
    expect(response.headers.get('x-aigateway-changes')).toContain('responses.compact>responses');
    expect(operations()).toEqual(['responses.compact', 'responses']);
    expect(posts().at(-1)?.body).toMatchObject({ store: false, max_output_tokens: 16_384 });
    await compact(compactBody('codex'));
    expect(operations().slice(2)).toEqual(['responses']);

    const plain = await gateway.call('/v1/responses', responsesBody('codex', 'hello'));
    expect(plain.status).toBe(200);
    expect(operations().slice(3)).toEqual(['responses']);
    expect(plain.headers.get('x-aigateway-changes')).toBeNull();
  });

  it('needs no refusal on a dated api-version, which has no such path', async () => {
    const { answer } = await compact(compactBody('classic'));
    expect(answer.output).toMatchObject([{ type: 'compaction' }]);
    expect(operations()).toEqual(['responses']);
  });

  it('goes on from a stored response', async () => {
    lacksCompaction();
    const stored = (await (
      await gateway.call('/v1/responses', responsesBody('codex', 'Remember tea.'))
    ).json()) as { id: string };
    const { answer } = await compact({ model: 'codex', previous_response_id: stored.id });
    expect(answer.output).toMatchObject([{ type: 'compaction' }]);
  });

  it('does not unlearn what is known of the operations', async () => {
    const chat = await gateway.call('/v1/chat/completions', chatBody('codex', 'x'));
    expect(chat.headers.get('x-aigateway-changes')).toContain('chat>responses');
    lacksCompaction();
    await compact(compactBody('codex'));
    const before = posts().length;
    await gateway.call('/v1/chat/completions', chatBody('codex', 'y'));
    expect(operations().slice(before)).toEqual(['responses']);
  });
});

describe("an upstream's own compaction", () => {
  it('stays at its home and is refused by a model that answers only chat', async () => {
    const native = (await (
      await gateway.call('/v1/responses/compact', { model: 'codex', input: history })
    ).json()) as Compaction;
    const turn = (model: string) =>
      gateway.call(
        '/v1/responses',
        responsesBody(model, '', { input: [...native.output, user('Go on.')] }),
      );
    expect((await turn('codex')).status).toBe(200);
    const refused = await turn('chat-only');
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { code: 'bridge_unsupported' } });
  });
});

describe('a count of input tokens', () => {
  const path = '/v1/responses/input_tokens';

  it("is the deployment's own where it has one", async () => {
    const response = await gateway.call(path, { model: 'codex', input: 'How long is this?' });
    expect(response.headers.get('x-aigateway-changes')).toBeNull();
    expect(operations()).toEqual(['responses.input_tokens']);
  });

  it.each(['chat-only', 'classic'])('is an estimate for %s, and uses nothing', async (model) => {
    const input = 'How long is this? '.repeat(1000);
    const response = await gateway.call(path, { model, input });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-aigateway-changes')).toBe('estimated');
    const counted = (await response.json()) as { object: string; input_tokens: number };
    expect(counted.object).toBe('response.input_tokens');
    expect(counted.input_tokens).toBeGreaterThan(4000);
    expect(counted.input_tokens).toBeLessThan(5000);
    expect(gateway.usage).toHaveLength(1);
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'completed',
      usageSource: 'none',
      costNanoUsd: 0,
      tokens: { input: 0, output: 0 },
    });
    const before = posts().length;
    expect((await gateway.call(path, { model, input })).status).toBe(200);
    expect(posts()).toHaveLength(before);
  });

  it('is not guessed of a conversation that only the upstream knows', async () => {
    gateway.simulator.fault({
      kind: 'error',
      error: '404-resource-not-found',
      operation: 'responses.input_tokens',
    });
    const stored = (await (
      await gateway.call('/v1/responses', responsesBody('codex', 'Remember tea.'))
    ).json()) as { id: string };
    const response = await gateway.call(path, { model: 'codex', previous_response_id: stored.id });
    expect(response.status).toBe(400);
  });
});
