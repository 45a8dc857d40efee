import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { exchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import type { JsonObject } from './json.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await startSimulator({ seed: 7, clock: { now: () => 1000 } });
});

afterEach(async () => {
  await simulator.close();
});

async function control(method: string, path: string, json?: unknown): Promise<Exchange> {
  return await exchange(`${simulator.url}/_sim/${path}`, { method, json });
}

async function chat(extra: object = {}): Promise<Exchange> {
  return await exchange(`${simulator.url}/openai/v1/chat/completions`, {
    headers: { 'api-key': 'simulated-key', 'x-mine': 'yes' },
    json: { model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }], ...extra },
  });
}

describe('the control API', () => {
  it('makes things go wrong and right again', async () => {
    const { body } = await control('POST', 'faults', { kind: 'error', error: '500-internal' });
    expect((await chat()).status).toBe(500);
    expect((await control('GET', 'faults')).text).toContain('"struck":1');
    expect((await control('DELETE', `faults/${String(body['id'])}`)).status).toBe(200);
    expect((await chat()).status).toBe(200);
    expect((await control('DELETE', 'faults/99')).status).toBe(404);
  });

  it('moves the clock', async () => {
    expect((await control('POST', 'clock', { advanceMs: 500 })).body).toEqual({ now: 1500 });
    expect((await control('GET', 'clock')).body).toEqual({ now: 1500 });
    expect((await control('POST', 'clock', { advanceMs: 'x' })).status).toBe(400);
  });

  it('tells what was called, with which headers and bodies', async () => {
    await chat();
    const counters = (await control('GET', 'counters')).body as { by: JsonObject };
    expect(counters.by).toEqual({
      'simulator/gpt-4o/chat.completions': {
        calls: 1,
        statuses: { 200: 1 },
        promptTokens: 8,
        cachedTokens: 0,
        completionTokens: 10,
        reasoningTokens: 0,
        aborted: 0,
      },
    });
    const [request] = JSON.parse((await control('GET', 'requests')).text) as JsonObject[];
    expect(request).toMatchObject({
      sequence: 1,
      at: 1000,
      method: 'POST',
      url: '/openai/v1/chat/completions',
      headers: { 'api-key': 'simulated-key', 'x-mine': 'yes' },
      body: { model: 'gpt-4o' },
      resource: 'simulator',
      deployment: 'gpt-4o',
      status: 200,
      finished: true,
    });
  });

  it('replaces the configuration', async () => {
    const config = {
      resources: [{ name: 'new', keys: ['n'], deployments: [{ name: 'd', model: 'gpt-4o' }] }],
    };
    expect((await control('PUT', 'config', config)).status).toBe(200);
    expect(simulator.resourceUrl('new')).toBe(`${simulator.url}/new`);
    const wrong = await control('PUT', 'config', {
      resources: [{ name: 'new', keys: ['n'], deployments: [{ name: 'd', model: 'gpt-99' }] }],
    });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain('unknown model');
  });

  it('goes back to the beginning, ids included', async () => {
    const first = (await chat()).body['id'];
    await control('POST', 'reset');
    expect((await chat()).body['id']).toBe(first);
    expect(simulator.counters().total.calls).toBe(1);
  });

  it('answers 404 to unknown commands and 400 to broken ones', async () => {
    expect((await control('GET', 'nothing')).status).toBe(404);
    expect((await control('POST', 'faults', { kind: 'x' })).status).toBe(400);
  });
});

describe('counters', () => {
  it('count an answer the caller left as aborted, with what was sent of it', async () => {
    const caller = new AbortController();
    const pending = exchange(`${simulator.url}/openai/v1/chat/completions`, {
      headers: { 'api-key': 'simulated-key' },
      json: {
        model: 'gpt-4o',
        stream: true,
        messages: [{ role: 'user', content: '[SIM:tokens 4000][SIM:delay 5]' }],
      },
      signal: caller.signal,
    });
    await expect.poll(() => simulator.counters().inFlight).toBe(1);
    caller.abort();
    await pending.catch(() => undefined);
    await expect.poll(() => simulator.counters().total.aborted).toBe(1);
    expect(simulator.counters().total.completionTokens).toBeLessThan(4000);
    expect(simulator.counters().inFlight).toBe(0);
  });
});

describe('the server', () => {
  it('ends open connections when it is closed', async () => {
    const other = await startSimulator();
    other.fault({ kind: 'stall' });
    const pending = exchange(`${other.url}/openai/v1/models`, {
      headers: { 'api-key': 'simulated-key' },
    });
    await expect.poll(() => other.counters().inFlight).toBe(1);
    await other.close();
    await expect(pending).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('tells every problem of a wrong configuration', async () => {
    await expect(
      startSimulator({ config: { resources: [{ name: 'UPPER', keys: [] }] } }),
    ).rejects.toThrow(/resources\[0\]\.name[^]*resources\[0\]\.keys|keys[^]*name/);
  });
});
