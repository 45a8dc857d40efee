import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '@aigateway/contract/records';
import {
  chatBody,
  noCredential,
  ownUpstream,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer;
let answer: { status: number; type: string; body: string };

const models: Record<string, Operation> = {
  'only-chat': 'chat',
  'only-responses': 'responses',
  'only-completions': 'completions',
  'only-embeddings': 'embeddings',
};

beforeAll(async () => {
  upstream = await startServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      response.end();
      return;
    }
    response.writeHead(answer.status, { 'content-type': answer.type });
    response.end(answer.body);
  });
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'codex', model: 'gpt-5.3-codex' },
            { name: 'chat-only', model: 'gpt-4' },
            { name: 'embed', model: 'text-embedding-3-small' },
          ],
        },
      ],
    },
    deployments: [
      ...['gpt-4o', 'codex', 'chat-only', 'embed'].map((deployment) => ({
        resourceName: 'east',
        deployment,
      })),
      ...Object.entries(models).map(([name, operation]) =>
        ownUpstream(upstream.origin, name, { operations: [operation] }),
      ),
    ],
    credentials: [noCredential(upstream.origin)],
    router: { retries: 0, coolDownMs: 0 },
    options: { logLevel: 'error' },
  });
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});

const paths = ['/v1/chat/completions', '/v1/responses', '/v1/completions', '/v1/embeddings'];

/** Now and then what cannot be made a number or a text. */
const json = fc.oneof(
  { weight: 9, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.constant({ toString: null, valueOf: null }) },
);
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const orAnything = (value: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 3, arbitrary: value }, { weight: 1, arbitrary: json });
const part = fc.record(
  {
    type: orAnything(
      fc.constantFrom('text', 'input_text', 'image_url', 'output_text', 'refusal', 'file'),
    ),
    text: orAnything(text),
    image_url: orAnything(fc.record({ url: text })),
  },
  { requiredKeys: [] },
);
const toolCall = fc.record(
  {
    id: orAnything(text),
    type: orAnything(fc.constantFrom('function', 'custom')),
    function: orAnything(fc.record({ name: text, arguments: text }, { requiredKeys: [] })),
  },
  { requiredKeys: [] },
);
const item = fc.record(
  {
    type: orAnything(
      fc.constantFrom(
        'message',
        'function_call',
        'function_call_output',
        'reasoning',
        'item_reference',
        'new',
      ),
    ),
    role: orAnything(fc.constantFrom('user', 'assistant', 'system', 'developer', 'tool')),
    content: orAnything(fc.oneof(text, fc.array(part, { maxLength: 3 }))),
    id: orAnything(text),
    call_id: orAnything(text),
    tool_call_id: orAnything(text),
    name: orAnything(text),
    arguments: orAnything(text),
    output: orAnything(text),
    summary: orAnything(fc.array(part, { maxLength: 2 })),
    encrypted_content: orAnything(text),
    tool_calls: orAnything(fc.array(toolCall, { maxLength: 3 })),
  },
  { requiredKeys: [] },
);
const items = fc.array(item, { maxLength: 4 });
const tool = fc.record(
  {
    type: orAnything(fc.constantFrom('function', 'custom', 'web_search', 'mcp')),
    name: orAnything(text),
    function: orAnything(fc.record({ name: text, parameters: json }, { requiredKeys: [] })),
    parameters: json,
  },
  { requiredKeys: [] },
);
const body = fc.record(
  {
    model: orAnything(
      fc.constantFrom('gpt-4o', 'codex', 'chat-only', 'embed', ...Object.keys(models)),
    ),
    messages: orAnything(items),
    input: orAnything(fc.oneof(text, items)),
    prompt: orAnything(text),
    stream: orAnything(fc.boolean()),
    stream_options: orAnything(fc.record({ include_usage: fc.boolean() })),
    tools: orAnything(fc.array(tool, { maxLength: 2 })),
    tool_choice: orAnything(fc.constantFrom('auto', 'none', 'required')),
    max_tokens: orAnything(fc.nat()),
    n: orAnything(fc.nat(3)),
    user: orAnything(text),
    metadata: orAnything(fc.dictionary(text, text)),
    tags: orAnything(fc.array(text)),
    fallbacks: orAnything(fc.array(fc.constantFrom('gpt-4o', 'x'))),
    timeout: orAnything(fc.nat(3)),
    response_format: json,
    text: json,
    reasoning: json,
    store: orAnything(fc.boolean()),
    previous_response_id: orAnything(text),
    conversation: json,
    include: json,
    instructions: json,
    stop: json,
  },
  { requiredKeys: ['model'] },
);

async function call(path: string, content: unknown): Promise<{ status: number; text: string }> {
  const response = await gateway.call(
    path,
    typeof content === 'string' ? content : JSON.stringify(content),
  );
  // A stream that fails after its head ends with an error event, a JSON answer by the end of its connection.
  const received = await response.text().catch(() => '');
  return { status: response.status, text: received };
}

const fault = 'internal_error';

describe('whatever a caller sends', () => {
  it('is answered or refused, and never a fault of the gateway', async () => {
    answer = {
      status: 200,
      type: 'application/json',
      body: '{"choices":[],"output":[],"data":[]}',
    };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), body, async (path, content) => {
        expect((await call(path, content)).text).not.toContain(fault);
      }),
      {
        numRuns: 600,
        // Found by it: not every object can be made a number.
        examples: [['/v1/chat/completions', { model: 'gpt-4o', timeout: { toString: null } }]],
      },
    );
  });

  it('may be nested as deep as its size allows', async () => {
    const depth = 200_000;
    const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    for (const path of paths) {
      for (const model of ['gpt-4o', 'codex', 'chat-only']) {
        const common = `"model":"${model}","temperature":0,"cache_control":1`;
        for (const member of [
          'messages',
          'input',
          'tools',
          'x_unknown',
          'metadata',
          'previous_response_id',
        ]) {
          const answered = await call(path, `{${common},"${member}":${deep}}`);
          expect(answered.text).not.toContain(fault);
        }
      }
    }
  });
});

const error = fc.record(
  {
    message: orAnything(text),
    code: orAnything(fc.constantFrom('content_filter', 'rate_limit_exceeded', '500')),
    type: orAnything(text),
    param: orAnything(text),
    status: orAnything(fc.integer({ min: 400, max: 599 })),
    headers: orAnything(fc.record({ 'retry-after': json })),
    innererror: orAnything(fc.record({ code: json })),
    detail: orAnything(fc.array(fc.record({ loc: json, msg: json, type: json }))),
  },
  { requiredKeys: [] },
);

const event = fc.oneof(
  fc.record({
    name: fc.constantFrom('', 'error', 'response.created', 'response.completed', 'x'),
    data: json,
  }),
  fc.record({
    name: fc.constant(''),
    data: fc.record(
      {
        choices: orAnything(
          fc.array(
            fc.record(
              {
                index: orAnything(fc.nat(2)),
                delta: orAnything(item),
                message: orAnything(item),
                text: orAnything(text),
                finish_reason: orAnything(fc.constantFrom('stop', 'length', 'tool_calls', null)),
              },
              { requiredKeys: [] },
            ),
            { maxLength: 2 },
          ),
        ),
        usage: orAnything(
          fc.record({ prompt_tokens: json, completion_tokens: fc.nat() }, { requiredKeys: [] }),
        ),
        error: orAnything(error),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ name: fc.constant('error'), data: error.map((it) => ({ type: 'error', ...it })) }),
  fc
    .constantFrom(
      'response.created',
      'response.output_item.added',
      'response.output_text.delta',
      'response.function_call_arguments.delta',
      'response.output_item.done',
      'response.completed',
      'response.failed',
    )
    .chain((name) =>
      fc.record({
        name: fc.constant(name),
        data: fc.record(
          {
            type: fc.constant(name),
            response: orAnything(
              fc.record(
                { output: orAnything(items), usage: json, status: json, error: orAnything(error) },
                { requiredKeys: [] },
              ),
            ),
            item: orAnything(item),
            delta: orAnything(text),
            output_index: orAnything(fc.nat(2)),
            item_id: orAnything(text),
          },
          { requiredKeys: [] },
        ),
      }),
    ),
);

const upstreamAnswer = fc.record({
  status: fc.constantFrom(
    200,
    200,
    200,
    201,
    204,
    301,
    400,
    401,
    403,
    404,
    409,
    418,
    429,
    500,
    503,
  ),
  type: fc.constantFrom('application/json', 'text/event-stream', 'text/html', ''),
  body: fc.oneof(
    json.map((value) => JSON.stringify(value)),
    text,
    event.map(({ data }) => JSON.stringify(data)),
    fc
      .array(event, { maxLength: 6 })
      .map((events) =>
        events
          .map(
            ({ name, data }) =>
              `${name === '' ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`,
          )
          .join(''),
      ),
  ),
});

/** Answers that are rare among the random ones: a stream that ends after it began, and JSON that holds nothing. */
const cutAnswer = {
  status: 200,
  type: 'text/event-stream',
  body: 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n',
};
const nothing = { status: 200, type: 'application/json', body: 'null' };

describe('whatever an upstream answers', () => {
  it('reaches the caller as an answer or an error, and never as a fault of the gateway', async () => {
    const calls = Object.keys(models).flatMap((model) =>
      [true, false].flatMap((stream) => [
        { path: '/v1/chat/completions', content: chatBody(model, 'x', { stream }) },
        { path: '/v1/responses', content: responsesBody(model, 'x', { stream }) },
        { path: '/v1/completions', content: { model, prompt: 'x', stream } },
        { path: '/v1/embeddings', content: { model, input: 'x' } },
      ]),
    );
    const everyCall = calls.map((each): [typeof each, typeof nothing] => [each, nothing]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...calls),
        upstreamAnswer,
        async ({ path, content }, given) => {
          answer = given;
          expect((await call(path, content)).text).not.toContain(fault);
        },
      ),
      { numRuns: 1200, examples: [[calls[0]!, cutAnswer], ...everyCall] },
    );
  });

  it('leaves one record for each request', () => {
    const { admitted, settled } = gateway.proxy.meter.counts;
    expect(settled).toBe(admitted);
    expect(gateway.usage).toHaveLength(admitted);
    // Each way in which a request can end has been met.
    expect(new Set(gateway.usage.map(({ outcome }) => outcome))).toEqual(
      new Set(['completed', 'rejected', 'failed', 'interrupted']),
    );
    for (const { tokens, costNanoUsd } of gateway.usage) {
      for (const count of [...Object.values(tokens), costNanoUsd]) {
        expect(Number.isSafeInteger(count)).toBe(true);
        expect(count).toBeGreaterThanOrEqual(0);
      }
    }
  });
});
