import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  noCredential,
  ownUpstream,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

/** What the upstream was sent, and how it answers: with a refusal as long as there is one for the body. */
let sent: { path: string; body: Record<string, unknown> }[];
let refusal: (body: Record<string, unknown>) => { status: number; error: object } | undefined;
let upstream: TestServer;
let gateway: GatewayUnderTest;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, unknown>;
  if (request.method === 'POST') sent.push({ path: request.url ?? '', body });
  const refused = refusal(body);
  response.writeHead(refused?.status ?? 200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify(
      refused === undefined
        ? { object: 'x', choices: [], output: [], usage: { input_tokens: 1, output_tokens: 1 } }
        : { error: refused.error },
    ),
  );
}

beforeEach(async () => {
  sent = [];
  upstream = await startServer((request, response) => void answer(request, response));
  gateway = await startGatewayUnderTest({
    deployments: [ownUpstream(upstream.origin, 'm')],
    credentials: [noCredential(upstream.origin)],
  });
});
afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

/** What is learned of a deployment counts for everyone, so a caller whose words an upstream repeats must teach it nothing. */
describe('a refusal that quotes the caller', () => {
  const attacks = [
    "Unsupported parameter: 'max_tokens'",
    "Unknown parameter: 'max_tokens'",
    "Unsupported value: 'max_tokens'. Only the default (1) value is supported",
    'Unrecognized request argument supplied: max_tokens',
    "Additional properties are not allowed ('max_tokens' was unexpected)",
    'The chatCompletion operation does not work with the specified model',
    'This model is only supported in v1/responses',
    'not a chat model',
    'o3 is enabled only for api versions 2024-12-01-preview and later',
    'API version not supported',
  ];

  it.each(attacks)('changes nobody’s requests: %s', async (quoted) => {
    refusal = ({ reasoning_effort: effort }) =>
      effort === undefined
        ? undefined
        : {
            status: 400,
            error: {
              message: `Invalid value: '${quoted}'. Supported values are: 'low' and 'high'.`,
              type: 'invalid_request_error',
              param: null,
              code: 'invalid_value',
            },
          };
    const attack = chatBody('m', 'x', { reasoning_effort: quoted });
    expect((await gateway.call('/v1/chat/completions', attack)).status).toBe(400);
    await gateway.call('/v1/chat/completions', chatBody('m', 'x', { max_tokens: 7 }));
    expect(sent.at(-1)).toMatchObject({ path: '/v1/chat/completions', body: { max_tokens: 7 } });
  });

  it.each([
    `Item with id '${'i'.repeat(300)}' not found.`,
    'Vector store with id [vs_1] not found.',
    'File with ID file-1 was not found',
    'Container with id cntr_1 not found.',
  ])(
    'for an object that does not exist says nothing of what a deployment can do: %s',
    async (message) => {
      refusal = ({ tools }) =>
        tools === undefined ? undefined : { status: 404, error: { message } };
      const attack = responsesBody('m', 'x', { tools: [{ type: 'file_search' }] });
      expect((await gateway.call('/v1/responses', attack)).status).toBe(404);
      await gateway.call('/v1/responses', responsesBody('m', 'x'));
      expect(sent.at(-1)?.path).toBe('/v1/responses');
    },
  );
});
