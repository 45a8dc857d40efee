import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  noCredential,
  ownUpstream,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type DeploymentSpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer;
afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

const subscription = '/subscriptions/0f2b7c1e-4f7a-4d53-9a52-3b8f5c9f2d10/resourceGroups/secret-rg';
const message =
  `Your requests to hidden-name for gpt-4o in eastus2 have exceeded token rate limit. The deployment hidden-name of ` +
  `https://secret-host.openai.azure.com (${subscription}) is busy.`;
const secrets = ['hidden-name', 'secret-host', 'secret-rg', '0f2b7c1e', 'eastus2'];

const text = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
const named = (data: { type: string; [name: string]: unknown }) =>
  `event: ${data.type}\n${text(data)}`;

const chunk = (content: string) =>
  text({ choices: [{ index: 0, delta: { content }, finish_reason: null }], id: 'c', model: 'm' });
const created = {
  type: 'response.created',
  sequence_number: 0,
  response: { id: 'resp_1', object: 'response', status: 'in_progress', output: [], error: null },
};
const delta = {
  type: 'response.output_text.delta',
  sequence_number: 1,
  item_id: 'msg_1',
  delta: 'a part',
};

/** An upstream that answers every POST with these events. */
async function start(events: string, spec: Partial<DeploymentSpec> = {}) {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    response.setHeader('content-type', 'text/event-stream');
    response.end(request.method === 'POST' ? events : '');
  };
  upstream = await startServer(answer);
  gateway = await startGatewayUnderTest({
    deployments: [
      {
        ...ownUpstream(upstream.origin, 'hidden-name'),
        model: 'public',
        ...spec,
      } as DeploymentSpec,
    ],
    credentials: [noCredential(upstream.origin)],
  });
}

async function ask(path: string, body: object): Promise<string> {
  return (await gateway.call(path, { ...body, stream: true })).text();
}

const expected = ['a part', 'have exceeded token rate limit', '"code":"rate_limit_exceeded"'];

/** What an answer tells and must not, and what it lacks. */
function faultsOf(answer: string): string[] {
  return [
    ...secrets.filter((secret) => answer.includes(secret)),
    ...expected.filter((part) => !answer.includes(part)),
  ];
}

const error = { code: 'rate_limit_exceeded', type: 'too_many_requests', param: null, message };

describe('an error inside a stream, after output, names nothing of what lies behind the gateway', () => {
  it.each([
    ['as Azure writes it', { error }],
    ['behind other members', { id: 'c', object: 'chat.completion.chunk', error }],
    ['of a server that says so in its object', { object: 'error', ...error }],
  ])('chat: %s', async (_, event) => {
    await start(chunk('a part') + text(event));
    const answer = await ask('/v1/chat/completions', chatBody('public', 'x'));
    expect(faultsOf(answer)).toEqual([]);
    expect(answer).not.toContain('[DONE]');
    expect(gateway.usage[0]?.outcome).toBe('interrupted');
  });

  it('chat: in the same piece as output', async () => {
    await start(chunk('a') + chunk(' part') + chunk('a part') + text({ error }));
    expect(faultsOf(await ask('/v1/chat/completions', chatBody('public', 'x')))).toEqual([]);
  });

  it.each([
    ['nested', { type: 'error', sequence_number: 2, error }],
    ['flat', { ...error, type: 'error', sequence_number: 2 }],
    [
      'failed response',
      {
        type: 'response.failed',
        sequence_number: 2,
        response: { ...created.response, status: 'failed', error: { code: error.code, message } },
      },
    ],
  ])('responses: %s', async (_, event) => {
    await start(named(created) + named(delta) + named(event));
    const answer = await ask('/v1/responses', responsesBody('public', 'x'));
    expect(faultsOf(answer)).toEqual([]);
    const last = answer.trim().split('\n\n').at(-1) ?? '';
    const data = JSON.parse(last.slice(last.indexOf('data: ') + 6)) as object;
    expect(data).toMatchObject({ type: event.type === 'error' ? 'error' : 'response.failed' });
  });

  it('responses, bridged to chat', async () => {
    await start(named(created) + named(delta) + named({ type: 'error', error }), {
      operations: ['responses'],
    });
    expect(faultsOf(await ask('/v1/chat/completions', chatBody('public', 'x')))).toEqual([]);
  });

  it('chat, bridged to responses', async () => {
    await start(chunk('a part') + text({ error }), { operations: ['chat'] });
    expect(faultsOf(await ask('/v1/responses', responsesBody('public', 'x')))).toEqual([]);
  });

  it('nor what filter categories a text fell into', async () => {
    const filtered = {
      code: 'content_filter',
      type: null,
      param: 'prompt',
      message: "The response was filtered due to Azure OpenAI's content management policy.",
      innererror: { content_filter_result: { violence: { filtered: true, severity: 'high' } } },
    };
    await start(chunk('a part') + text({ error: filtered }));
    const answer = await ask('/v1/chat/completions', chatBody('public', 'x'));
    expect(answer).not.toContain('violence');
    expect(answer).toContain('"code":"content_filter"');
  });
});

describe('what a model says of errors', () => {
  it('passes as it came, in chat and responses', async () => {
    const words = '{"error":{"message":"https://secret-host.openai.azure.com"}}';
    const events =
      chunk(words) +
      chunk('"error"') +
      text({ id: 'x', error: null, choices: [] }) +
      'data: [DONE]\n\n';
    await start(events);
    const got = await readEvents(
      await gateway.call('/v1/chat/completions', chatBody('public', 'x', { stream: true })),
    );
    const deltas = got
      .filter(({ data }) => data.includes('delta'))
      .map(
        ({ data }) =>
          (JSON.parse(data) as { choices: [{ delta: { content: string } }] }).choices[0].delta
            .content,
      );
    expect(deltas).toEqual([words, '"error"']);
  });
});
