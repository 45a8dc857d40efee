import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  chatText,
  readEvents,
  startGatewayUnderTest,
  type DeploymentSpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

function start(...deployments: DeploymentSpec[]) {
  return startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex' },
            { name: 'gpt-5-pro', model: 'gpt-5-pro' },
            { name: 'gpt-4o', model: 'gpt-4o' },
          ],
        },
      ],
    },
    deployments,
  });
}

function upstreamOperations(): (string | undefined)[] {
  return gateway.simulator
    .requests()
    .flatMap(({ operation, method }) => (method === 'POST' ? [operation] : []));
}

describe('chat for a model that answers only on responses', () => {
  it('learns it from one refusal, which the caller never sees, and asks no second time', async () => {
    gateway = await start({ resourceName: 'east', deployment: 'gpt-5.3-codex' });
    const first = await gateway.call('/v1/chat/completions', chatBody('gpt-5.3-codex', 'one'));
    expect(first.status).toBe(200);
    expect(await first.text()).toContain('You said: one');
    const afterFirst = upstreamOperations();
    expect(afterFirst.at(-1)).toBe('responses');
    expect(afterFirst.filter((name) => name === 'chat.completions').length).toBeLessThanOrEqual(1);

    const second = await gateway.call('/v1/chat/completions', chatBody('gpt-5.3-codex', 'two'));
    expect(second.status).toBe(200);
    expect(upstreamOperations().slice(afterFirst.length)).toEqual(['responses']);
    expect(second.headers.get('x-aigateway-changes')).toContain('chat>responses');
    expect(gateway.usage.at(-1)?.attempts).toHaveLength(1);
  });

  it('hides the refusals of many first calls at once', async () => {
    gateway = await start({ resourceName: 'east', deployment: 'gpt-5.3-codex' });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        gateway.call(
          '/v1/chat/completions',
          chatBody('gpt-5.3-codex', `call ${index}`, { stream: index % 2 === 0 }),
        ),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    for (const answer of answers)
      expect(await answer.text()).not.toContain('OperationNotSupported');
  });

  it('needs no refusal where the operations are declared', async () => {
    gateway = await start({
      resourceName: 'east',
      deployment: 'gpt-5-pro',
      operations: ['responses'],
    });
    const answer = await gateway.call('/v1/chat/completions', chatBody('gpt-5-pro', 'declared'));
    expect(answer.status).toBe(200);
    expect(upstreamOperations()).toEqual(['responses']);
  });

  it('bridges a name the gateway has never heard of', async () => {
    gateway = await start({
      resourceName: 'east',
      deployment: 'gpt-5-pro',
      model: 'team-model',
    });
    const answer = await gateway.call('/v1/chat/completions', chatBody('team-model', 'hidden'));
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      object: 'chat.completion',
      model: 'team-model',
      choices: [{ finish_reason: 'stop', message: { role: 'assistant' } }],
    });
    expect(upstreamOperations()).toEqual(['chat.completions', 'responses']);
    expect(gateway.usage).toHaveLength(1);
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'completed',
      upstreamOperation: 'responses',
      attempts: [{ status: 400, reason: 'operation_unsupported' }, { status: 200 }],
    });
  });

  it('streams in the form of chat, usage only on request', async () => {
    gateway = await start({ resourceName: 'east', deployment: 'gpt-5.3-codex' });
    const body = chatBody('gpt-5.3-codex', 'stream', { stream: true });
    const plain = await readEvents(await gateway.call('/v1/chat/completions', body));
    expect(chatText(plain)).toContain('You said: stream');
    expect(plain.at(-1)?.data).toBe('[DONE]');
    expect(plain.some(({ data }) => data.includes('"usage":{'))).toBe(false);
    const asked = await readEvents(
      await gateway.call('/v1/chat/completions', {
        ...body,
        stream_options: { include_usage: true },
      }),
    );
    expect(asked.filter(({ data }) => data.includes('"usage":{'))).toHaveLength(1);
    expect(gateway.usage.map(({ usageSource }) => usageSource)).toEqual(['measured', 'measured']);
  });

  it('carries a whole tool round trip, stream and whole', async () => {
    gateway = await start({ resourceName: 'east', deployment: 'gpt-5.3-codex' });
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: callerKey, maxRetries: 0 });
    const tools = [
      {
        type: 'function' as const,
        function: {
          name: 'read_file',
          parameters: { type: 'object', properties: { path: { type: 'string' } } },
        },
      },
    ];
    const user = { role: 'user' as const, content: 'read [SIM:tool read_file {"path":"a.ts"}]' };
    const whole = await client.chat.completions.create({
      model: 'gpt-5.3-codex',
      messages: [user],
      tools,
    });
    const call = whole.choices[0]?.message.tool_calls?.[0];
    expect(call).toMatchObject({ function: { name: 'read_file', arguments: '{"path":"a.ts"}' } });
    const streamed = await client.chat.completions
      .stream({ model: 'gpt-5.3-codex', messages: [user], tools })
      .finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls?.[0]).toMatchObject({
      function: { name: 'read_file', arguments: '{"path":"a.ts"}' },
    });
    const answered = await client.chat.completions.create({
      model: 'gpt-5.3-codex',
      messages: [
        { role: 'user', content: 'read a.ts' },
        { role: 'assistant', tool_calls: whole.choices[0]?.message.tool_calls ?? [] },
        { role: 'tool', tool_call_id: call?.id ?? '', content: 'const a = 1;' },
      ],
      tools,
    });
    expect(answered.choices[0]?.message.content).toContain('const a = 1;');
  });

  it('prefers a member that answers chat itself, and still knows the other', async () => {
    gateway = await start(
      { resourceName: 'east', deployment: 'gpt-5.3-codex', model: 'mixed' },
      { resourceName: 'east', deployment: 'gpt-4o', model: 'mixed' },
    );
    for (let call = 0; call < 6; call += 1) {
      const answer = await gateway.call('/v1/chat/completions', chatBody('mixed', `call ${call}`));
      expect(answer.status).toBe(200);
    }
    const refusals = gateway.simulator.requests().filter(({ status }) => status === 400);
    expect(refusals.length).toBeLessThanOrEqual(1);
  });

  it('says what is wrong with a request in the words of chat', async () => {
    gateway = await start({ resourceName: 'east', deployment: 'gpt-5.3-codex' });
    const wrong = async (body: Record<string, unknown>) => {
      const answer = await gateway.call('/v1/chat/completions', {
        ...chatBody('gpt-5.3-codex', 'x'),
        ...body,
      });
      return { status: answer.status, ...((await answer.json()) as object) };
    };
    expect(await wrong({ messages: [] })).toMatchObject({
      status: 400,
      error: { param: 'messages', message: "Missing required parameter: 'messages'." },
    });
    expect(await wrong({ reasoning_effort: 'huge' })).toMatchObject({
      status: 400,
      error: { param: 'reasoning_effort' },
    });
  });

  it('shows the words of the refusal to nobody, whatever is switched off', async () => {
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          {
            name: 'east',
            keys: ['east-key'],
            deployments: [{ name: 'prod-x7', model: 'gpt-5.3-codex' }],
          },
        ],
      },
      deployments: [{ resourceName: 'east', deployment: 'prod-x7', model: 'codex' }],
      settings: { bridge: false },
    });
    const answer = await gateway.call('/v1/chat/completions', chatBody('codex', 'x'), {
      key: adminKey,
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain('prod-x7');
  });
});
