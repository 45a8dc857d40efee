import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  responsesBody,
  startGatewayUnderTest,
  type DeploymentSpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

const models = ['gpt-4o', 'o3', 'gpt-5.3-codex', 'text-embedding-3-small'];

function start(...deployments: DeploymentSpec[]) {
  return startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: models.map((model) => ({ name: `${model}-prod`, model })),
        },
      ],
    },
    deployments,
  });
}

async function urlOf(
  path: string,
  body: object,
): Promise<{ status: number; url: string | undefined; model: unknown }> {
  const response = await gateway.call(path, body);
  await response.text();
  const request = gateway.simulator.requests().at(-1);
  return {
    status: response.status,
    url: request?.url,
    model: (request?.body as { model?: unknown } | undefined)?.model,
  };
}

const classic = (model: string, apiVersion: string): DeploymentSpec => ({
  resourceName: 'east',
  deployment: `${model}-prod`,
  model,
  dialect: 'classic',
  apiVersion,
});

describe('the address of a deployment', () => {
  it('is the classic path with its own version, whatever the caller asked for', async () => {
    gateway = await start(
      classic('gpt-4o', '2024-10-21'),
      classic('text-embedding-3-small', '2024-02-01'),
      classic('gpt-5.3-codex', '2025-04-01-preview'),
    );
    expect(await urlOf('/v1/chat/completions', chatBody('gpt-4o', 'x'))).toMatchObject({
      status: 200,
      url: '/east/openai/deployments/gpt-4o-prod/chat/completions?api-version=2024-10-21',
    });
    expect(
      await urlOf(
        '/openai/deployments/gpt-4o/chat/completions?api-version=2023-05-15',
        chatBody('ignored', 'x'),
      ),
    ).toMatchObject({
      status: 200,
      url: '/east/openai/deployments/gpt-4o-prod/chat/completions?api-version=2024-10-21',
    });
    expect(
      await urlOf('/v1/embeddings', { model: 'text-embedding-3-small', input: 'x' }),
    ).toMatchObject({
      status: 200,
      url: '/east/openai/deployments/text-embedding-3-small-prod/embeddings?api-version=2024-02-01',
    });
    expect(await urlOf('/v1/responses', responsesBody('gpt-5.3-codex', 'x'))).toMatchObject({
      status: 200,
      url: '/east/openai/responses?api-version=2025-04-01-preview',
      model: 'gpt-5.3-codex-prod',
    });
  });

  it('is the v1 path without a version, with the deployment in the body', async () => {
    gateway = await start(
      ...models.map((model) => ({ resourceName: 'east', deployment: `${model}-prod`, model })),
    );
    for (const [path, body, url] of [
      ['/v1/chat/completions', chatBody('gpt-4o', 'x'), '/east/openai/v1/chat/completions'],
      [
        '/v1/embeddings',
        { model: 'text-embedding-3-small', input: 'x' },
        '/east/openai/v1/embeddings',
      ],
      [
        '/openai/responses?api-version=2025-04-01-preview',
        responsesBody('gpt-5.3-codex', 'x'),
        '/east/openai/v1/responses',
      ],
    ] as const) {
      expect(await urlOf(path, body)).toMatchObject({
        status: 200,
        url,
        model: `${body['model'] as string}-prod`,
      });
    }
  });

  it('is the v1 path for the Responses API, where its own version is older than that', async () => {
    gateway = await start(
      classic('gpt-5.3-codex', '2025-01-01-preview'),
      classic('gpt-4o', '2024-10-21'),
    );
    for (const [path, body] of [
      ['/v1/responses', responsesBody('gpt-5.3-codex', 'x')],
      ['/v1/chat/completions', chatBody('gpt-5.3-codex', 'x')],
      ['/v1/responses', responsesBody('gpt-4o', 'x')],
    ] as const) {
      expect(await urlOf(path, body)).toMatchObject({
        status: 200,
        url: '/east/openai/v1/responses',
        model: `${body['model'] as string}-prod`,
      });
    }
  });

  it('is another one when its version is retired: both serve one model', async () => {
    gateway = await start(
      { ...classic('gpt-4o', '2023-03-15-preview'), id: 'retired', priority: 0 },
      { resourceName: 'east', deployment: 'gpt-4o-prod', model: 'gpt-4o', id: 'current' },
    );
    const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(response.status).toBe(200);
    expect(gateway.usage[0]).toMatchObject({ deploymentId: 'current' });
    expect(gateway.usage[0]?.attempts[0]).toMatchObject({ status: 404, reason: 'api_version' });
  });

  it('is told to the administrator when its version is too old for the model', async () => {
    gateway = await start(classic('o3', '2024-06-01'));
    const response = await gateway.call('/v1/chat/completions', chatBody('o3', 'x'));
    expect(response.status).toBe(502);
    expect(response.headers.get('x-aigateway-layer')).toBe('upstream');
    expect(response.headers.get('x-should-retry')).toBe('false');
    const { error } = (await response.json()) as { error: { message: string; code: string } };
    expect(error.code).toBe('upstream_error');
    expect(error.message).toMatch(
      /enabled only for api versions 20\S+ and later\)\. The administrator of this gateway should take api_version v1/,
    );
    expect(error.message).not.toContain('prod');
    expect(gateway.usage).toMatchObject([{ outcome: 'failed', status: 502 }]);
    const line = gateway
      .log()
      .split('\n')
      .find((text) => text.includes('"event":"attempt"'));
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      reason: 'api_version',
      status: 400,
      change: 'take api_version v1 or a version that Azure still has',
      cause: { message: expect.stringMatching(/^enabled only for api versions 20\S+ and later$/) },
    });
  });

  it('is not the caller’s mistake when it is the only one', async () => {
    gateway = await start(classic('gpt-4o', '2023-03-15-preview'));
    const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(response.status).toBe(502);
    expect(await response.text()).not.toMatch(/east|prod|Resource not found/);
  });
});
