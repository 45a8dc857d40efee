import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { exchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;
let now: number;

// One unit of 3600 input tokens a minute, one second deep: 60 weighted tokens fill the bucket.
const provisioned = { units: 1, inputTpmPerUnit: 3600, outputRatio: 4, burstSeconds: 1 };

beforeEach(async () => {
  now = 0;
  simulator = await startSimulator({
    clock: { now: () => now },
    config: {
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: [
            { name: 'tight', model: 'gpt-4o', quota: { tpm: 100 } },
            { name: 'slow', model: 'gpt-4o', quota: { rpm: 60, sliceSeconds: 1 } },
            { name: 'ptu', model: 'gpt-4o', provisioned },
            { name: 'spilling', model: 'gpt-4o', provisioned, spilloverDeploymentName: 'roomy' },
            { name: 'hopeless', model: 'gpt-4o', provisioned, spilloverDeploymentName: 'tight' },
            {
              name: 'short',
              model: 'gpt-4o',
              provisioned,
              contextWindow: 5,
              spilloverDeploymentName: 'roomy',
            },
            { name: 'roomy', model: 'gpt-4o' },
          ],
        },
      ],
    },
  });
});

afterEach(async () => {
  await simulator.close();
});

async function chat(
  model: string,
  maxTokens = 50,
  headers: Record<string, string> = {},
): Promise<Exchange> {
  return await exchange(`${simulator.url}/openai/v1/chat/completions`, {
    headers: { 'api-key': 'k', ...headers },
    json: { model, max_tokens: maxTokens, messages: [{ role: 'user', content: 'hi' }] },
  });
}

describe('a standard deployment', () => {
  it('counts the maximum asked for, not what is used, and recovers when the minute is over', async () => {
    const first = await chat('tight');
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-tokens': '100',
      'x-ratelimit-remaining-tokens': '42',
    });
    const refused = await chat('tight');
    expect(refused).toMatchObject({
      status: 429,
      headers: {
        'retry-after': '60',
        'retry-after-ms': '60000',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-tokens': '60',
      },
      body: {
        error: { code: '429', message: expect.stringContaining('exceeded token rate limit') },
      },
    });
    now = 60_000;
    expect((await chat('tight')).status).toBe(200);
  });

  it('refuses a burst within one slice although the minute has room', async () => {
    expect((await chat('slow')).status).toBe(200);
    expect(await chat('slow')).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1', 'x-ratelimit-remaining-requests': '0' },
      body: { error: { message: expect.stringContaining('exceeded call rate limit') } },
    });
    simulator.advance(1000);
    expect((await chat('slow')).status).toBe(200);
  });
});

describe('a provisioned deployment', () => {
  it('tells its utilisation instead of limits, and refuses when full', async () => {
    const first = await chat('ptu');
    expect(first.headers['azure-openai-deployment-utilization']).toMatch(/^\d+\.\d%$/);
    expect(first.headers).not.toHaveProperty('x-ratelimit-limit-tokens');
    await chat('ptu');
    expect(await chat('ptu')).toMatchObject({
      status: 429,
      headers: { 'retry-after-ms': expect.stringMatching(/^\d+$/) },
      body: { error: { code: 'rate_limit_reached', type: 'too_many_requests' } },
    });
  });

  it('spills over to the deployment its property names', async () => {
    await chat('spilling');
    await chat('spilling');
    expect(await chat('spilling')).toMatchObject({
      status: 200,
      headers: {
        'x-ms-deployment-name': 'roomy',
        'x-ms-spillover-from-deployment': 'spilling',
        'x-ms-is-spilled-over': 'true',
        'x-ratelimit-limit-requests': '60000',
      },
    });
    expect(simulator.counters().by['east/roomy/chat.completions']?.calls).toBe(1);
  });

  it('spills over to the deployment a header names', async () => {
    await chat('ptu');
    await chat('ptu');
    const spilled = await chat('ptu', 50, { 'x-ms-spillover-deployment': 'roomy' });
    expect(spilled).toMatchObject({ status: 200, headers: { 'x-ms-deployment-name': 'roomy' } });
  });

  it('spills prompts that are too long for it, and failures', async () => {
    expect(await chat('short')).toMatchObject({
      status: 200,
      headers: { 'x-ms-spillover-from-deployment': 'short' },
    });
    simulator.fault({ kind: 'error', error: '503-unavailable', deployment: 'spilling' });
    expect(await chat('spilling')).toMatchObject({
      status: 200,
      headers: { 'x-ms-deployment-name': 'roomy' },
    });
  });

  it('answers with its own refusal when the other is full as well', async () => {
    await chat('tight');
    await chat('hopeless');
    await chat('hopeless');
    expect(await chat('hopeless')).toMatchObject({
      status: 429,
      headers: { 'x-ms-spillover-from-deployment': 'hopeless', 'x-ms-spillover-error': '429' },
      body: { error: { code: 'rate_limit_reached' } },
    });
  });
});
