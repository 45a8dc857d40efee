import type { JsonObject } from '@aigateway/contract/records';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

async function start(model: string, defaults: JsonObject): Promise<void> {
  gateway = await startGatewayUnderTest({
    simulator: { resources: [{ name: 'east', keys: ['k'], deployments: [{ name: 'd', model }] }] },
    deployments: [{ resourceName: 'east', deployment: 'd', defaults }],
  });
}

/** What went upstream in the call that was answered. */
async function sent(path: string, body: JsonObject): Promise<JsonObject> {
  const answer = await gateway.call(path, body);
  expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
  const request = gateway.simulator.requests().findLast(({ status }) => status === 200);
  return request?.body as JsonObject;
}

const chat = '/v1/chat/completions';
const responses = '/v1/responses';

describe('parameters that a deployment adds', () => {
  it('are those of the operation that the caller uses', async () => {
    await start('gpt-4o', { temperature: 0.2, max_tokens: 100, seed: 4 });
    expect(await sent(chat, chatBody('d', 'x'))).toMatchObject({
      temperature: 0.2,
      max_tokens: 100,
      seed: 4,
    });
    const onResponses = await sent(responses, responsesBody('d', 'x'));
    expect(onResponses).toMatchObject({ temperature: 0.2, max_output_tokens: 100 });
    expect(onResponses).not.toHaveProperty('seed');
  });

  it('are those of the operation that a bridge leads to', async () => {
    await start('gpt-5.3-codex', { reasoning_effort: 'high', max_tokens: 300, seed: 4 });
    const expected = { reasoning: { effort: 'high' }, max_output_tokens: 300 };
    expect(await sent(chat, chatBody('d', 'x'))).toMatchObject(expected);
    expect(await sent(responses, responsesBody('d', 'x'))).toMatchObject(expected);
    const own = await sent(chat, {
      ...chatBody('d', 'x'),
      reasoning_effort: 'low',
      max_tokens: 50,
    });
    expect(own).toMatchObject({ reasoning: { effort: 'low' }, max_output_tokens: 50 });
  });

  it('are left out or renamed where the model refuses them, as those of a caller', async () => {
    await start('gpt-5', { temperature: 0.2, max_tokens: 100 });
    const body = await sent(chat, chatBody('d', 'x'));
    expect(body).toMatchObject({ max_completion_tokens: 100 });
    expect(body).not.toHaveProperty('temperature');
    expect(body).not.toHaveProperty('max_tokens');
  });
});
