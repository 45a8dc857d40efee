import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { eventsOf, exchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import type { FaultSpec } from './faults.ts';
import { NAMED_ERROR_NAMES } from './named-errors.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

const NOW = Date.UTC(2026, 10, 10, 9);
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator({
    clock: { now: () => NOW },
    config: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: ['k'],
        deployments: [
          { name: 'chat', model: 'gpt-4o' },
          { name: 'other', model: 'gpt-4o' },
        ],
      })),
    },
  });
});

afterEach(() => {
  simulator.reset();
});

afterAll(async () => {
  await simulator.close();
});

const headers = { 'api-key': 'k' };

async function chat(
  extra: object = {},
  resource = 'east',
  signal?: AbortSignal,
): Promise<Exchange> {
  return await exchange(`${simulator.resourceUrl(resource)}/openai/v1/chat/completions`, {
    headers,
    json: { model: 'chat', messages: [{ role: 'user', content: '[SIM:tokens 40]' }], ...extra },
    ...(signal === undefined ? {} : { signal }),
  });
}

async function responses(extra: object = {}): Promise<Exchange> {
  return await exchange(`${simulator.resourceUrl('east')}/openai/v1/responses`, {
    headers,
    json: { model: 'chat', input: '[SIM:tokens 40]', stream: true, ...extra },
  });
}

describe('named errors', () => {
  it.each(NAMED_ERROR_NAMES)('answer with their status: %s', async (error) => {
    simulator.fault({ kind: 'error', error });
    const { status, text } = await chat({ stream: true });
    expect(status).toBe(Number(error.slice(0, 3)));
    expect(text === '').toBe(error === '504-empty' || error === '431-too-many-headers');
  });

  it('keep their peculiar shapes', async () => {
    const sent = async (error: FaultSpec & { kind: 'error' }) => {
      simulator.clearFaults();
      simulator.fault(error);
      return await chat();
    };
    expect((await sent({ kind: 'error', error: '401-token-invalid' })).body).not.toHaveProperty(
      'error',
    );
    expect((await sent({ kind: 'error', error: '502-html' })).headers['content-type']).toBe(
      'text/html',
    );
    expect((await sent({ kind: 'error', error: '429-tokens-classic' })).headers).toMatchObject({
      'retry-after': '7',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '7',
    });
    expect((await sent({ kind: 'error', error: '429-day-long' })).headers).toMatchObject({
      'retry-after': '86400',
      'retry-after-ms': '86400000',
    });
    const ptu = await sent({ kind: 'error', error: '429-ptu' });
    expect(ptu.headers).toMatchObject({
      'retry-after': '2',
      'retry-after-ms': '1480',
      'azure-openai-deployment-utilization': '103.2%',
    });
    expect(ptu.headers).not.toHaveProperty('x-ratelimit-limit-tokens');
  });
});

describe('rate limits tell their wait', () => {
  it.each([
    ['both', { 'retry-after': '3', 'retry-after-ms': '2500' }],
    ['ms', { 'retry-after-ms': '2500' }],
    ['seconds', { 'retry-after': '3' }],
    ['date', { 'retry-after': 'Tue, 10 Nov 2026 09:00:02 GMT' }],
    ['text', {}],
    ['none', {}],
  ] as const)('as %s', async (form, wanted) => {
    simulator.fault({ kind: 'rate-limit', form, retryAfterMs: 2500 });
    const answer = await chat();
    expect(answer.status).toBe(429);
    expect(answer.headers['retry-after']).toBe(
      'retry-after' in wanted ? wanted['retry-after'] : undefined,
    );
    expect(answer.headers['retry-after-ms']).toBe(
      'retry-after-ms' in wanted ? wanted['retry-after-ms'] : undefined,
    );
    expect(answer.text.includes('retry after 3 seconds')).toBe(form !== 'none');
  });

  it.each([
    [
      'classic',
      '429',
      'Requests to the ChatCompletions_Create Operation under Azure OpenAI API version v1',
    ],
    ['2025', 'RateLimitReached', 'Your requests to chat for gpt-4o in East US 2'],
    [
      '2026',
      'rate_limit_exceeded',
      'Your requests to chat for gpt-4o in eastus2 have exceeded token rate limit.',
    ],
  ] as const)('in the words of %s', async (wording, code, text) => {
    simulator.fault({ kind: 'rate-limit', wording });
    expect((await chat()).body).toMatchObject({
      error: { code, message: expect.stringContaining(text) },
    });
  });
});

describe('errors inside a stream with status 200', () => {
  it('come first on chat', async () => {
    simulator.fault({ kind: 'stream-error' });
    const { status, text } = await chat({ stream: true });
    expect(status).toBe(200);
    expect(eventsOf(text)).toEqual([
      {
        error: {
          message: expect.any(String),
          type: 'too_many_requests',
          param: null,
          code: 'rate_limit_exceeded',
        },
      },
    ]);
  });

  it('come after output on chat, without [DONE]', async () => {
    simulator.fault({ kind: 'stream-error', afterEvents: 2 });
    const events = eventsOf((await chat({ stream: true })).text);
    expect(events).toHaveLength(5);
    expect(events.at(-1)).toMatchObject({ error: { type: 'server_error' } });
  });

  it('have four shapes on responses before output', async () => {
    const shapes: Record<string, object[]> = {
      nested: [
        {
          type: 'error',
          sequence_number: 1,
          error: { code: 'rate_limit_exceeded', headers: { 'x-ms-fe-error': 'true' } },
        },
      ],
      flat: [{ type: 'error', code: 'rate_limit_exceeded', sequence_number: 0 }],
      provisioned: [
        { type: 'response.created' },
        { type: 'error', sequence_number: 2, error: { code: 'rate_limit_reached' } },
      ],
      failed: [
        { type: 'response.created' },
        { type: 'response.in_progress' },
        {
          type: 'response.failed',
          response: { status: 'failed', error: { code: 'rate_limit_exceeded' } },
        },
      ],
    };
    for (const [shape, wanted] of Object.entries(shapes)) {
      simulator.clearFaults();
      simulator.fault({ kind: 'stream-error', shape } as FaultSpec);
      const { status, text } = await responses();
      expect(status).toBe(200);
      expect(eventsOf(text)).toMatchObject(wanted);
    }
  });

  it('come after output on responses', async () => {
    simulator.fault({ kind: 'stream-error', shape: 'failed', afterEvents: 1 });
    const events = eventsOf((await responses()).text) as {
      type: string;
      sequence_number: number;
    }[];
    expect(events.map((event) => event.type).slice(-2)).toEqual([
      'response.output_text.delta',
      'response.failed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  });

  it('tell a wait in their text, and cost nothing before output', async () => {
    simulator.fault({ kind: 'stream-error', shape: 'failed', retryAfterMs: 7000 });
    expect((await responses()).text).toContain('Rate limit is exceeded. Try again in 7 seconds.');
    expect(simulator.counters().total).toMatchObject({ promptTokens: 0, completionTokens: 0 });
  });

  it('never come after the end, however many events are asked for', async () => {
    simulator.fault({ kind: 'stream-error', afterEvents: 1000 });
    expect((await chat({ stream: true })).text).not.toContain('[DONE]');
    expect((await responses()).text).not.toContain('response.completed');
    expect(simulator.counters().total.completionTokens).toBe(80);
  });

  it('leave refusals alone', async () => {
    simulator.fault({ kind: 'stream-error' });
    expect((await chat({ stream: true, temperature: 9 })).status).toBe(400);
  });

  it('become a status where there is no stream', async () => {
    simulator.fault({ kind: 'stream-error' });
    expect((await chat()).status).toBe(429);
  });

  it('are raised by the client library', async () => {
    simulator.fault({ kind: 'stream-error' });
    const openai = new OpenAI({
      baseURL: `${simulator.url}/openai/v1`,
      apiKey: 'k',
      maxRetries: 0,
    });
    const stream = await openai.responses.create({ model: 'chat', input: 'x', stream: true });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow(
      'exceeded token rate limit',
    );
  });
});

describe('broken connections', () => {
  it('end inside an event when cut, after the events asked for', async () => {
    simulator.fault({ kind: 'cut', afterEvents: 2 });
    const { status, text, broken } = await chat({ stream: true });
    expect(status).toBe(200);
    expect(broken).toBe('ECONNRESET');
    expect(text.endsWith('\n\n')).toBe(false);
    expect(eventsOf(text)).toHaveLength(4);
  });

  it('end inside a body when cut', async () => {
    simulator.fault({ kind: 'cut' });
    const { status, broken, text } = await chat();
    expect({ status, broken }).toEqual({ status: 200, broken: 'ECONNRESET' });
    expect(text.length).toBeGreaterThan(0);
  });

  it('are reset before the headers', async () => {
    simulator.fault({ kind: 'reset' });
    await expect(chat()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(simulator.counters().total.statuses).toEqual({ 0: 1 });
  });

  it.each(['after-headers', 'mid-body'] as const)('are reset %s', async (at) => {
    simulator.fault({ kind: 'reset', at });
    const { status, broken, text } = await chat({ stream: true });
    expect({ status, broken }).toEqual({ status: 200, broken: 'ECONNRESET' });
    expect(text === '').toBe(at === 'after-headers');
  });

  it.each(['before-headers', 'after-headers', 'mid-body'] as const)(
    'stall %s until the caller leaves',
    async (at) => {
      simulator.fault({ kind: 'stall', at });
      const caller = new AbortController();
      const pending = chat({ stream: true }, 'east', caller.signal);
      await expect.poll(() => simulator.requests().at(-1)?.operation).toBe('chat.completions');
      expect(simulator.counters().inFlight).toBe(1);
      caller.abort();
      await pending.catch(() => undefined);
      await expect
        .poll(() => simulator.counters())
        .toMatchObject({ inFlight: 0, total: { aborted: 1 } });
    },
  );

  it('go on after a stall that has an end', async () => {
    simulator.fault({ kind: 'stall', at: 'mid-body', ms: 10 });
    const { text, broken } = await chat({ stream: true });
    expect(broken).toBeUndefined();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });
});

describe('what a fault strikes', () => {
  it('is chosen by resource, deployment and operation', async () => {
    simulator.fault({
      kind: 'error',
      error: '500-internal',
      resource: 'east',
      deployment: 'chat',
      operation: 'chat.completions',
    });
    expect((await chat()).status).toBe(500);
    expect((await chat({}, 'west')).status).toBe(200);
    expect((await chat({ model: 'other' })).status).toBe(200);
    expect((await responses()).status).toBe(200);
  });

  it('is counted: some calls pass, some are struck, then it is over', async () => {
    simulator.fault({ kind: 'error', error: '500-internal', skip: 1, times: 2 });
    const statuses = [];
    for (let index = 0; index < 5; index += 1) statuses.push((await chat()).status);
    expect(statuses).toEqual([200, 500, 500, 200, 200]);
  });

  it('is a matter of chance that the seed decides', async () => {
    const run = async (): Promise<number[]> => {
      simulator.reset();
      simulator.fault({ kind: 'error', error: '500-internal', probability: 0.5 });
      const statuses = [];
      for (let index = 0; index < 12; index += 1) statuses.push((await chat()).status);
      return statuses;
    };
    const first = await run();
    expect(new Set(first)).toEqual(new Set([200, 500]));
    expect(await run()).toEqual(first);
  });

  it('ends when the fault is removed', async () => {
    const fault = simulator.fault({ kind: 'error', error: '500-internal' });
    fault.remove();
    expect((await chat()).status).toBe(200);
  });

  it('can be commanded in a prompt or a header, for one resource alone', async () => {
    const say = (content: string) => ({ messages: [{ role: 'user', content }] });
    expect((await chat(say('[SIM:fault error 503-unavailable]'))).status).toBe(503);
    expect((await chat(say('[SIM:fault rate-limit seconds 7000]'))).headers['retry-after']).toBe(
      '7',
    );
    expect((await chat(say('[SIM:fault error 500-internal on west]'))).status).toBe(200);
    expect((await chat(say('[SIM:fault error 500-internal on west]'), 'west')).status).toBe(500);
    expect((await chat(say('[SIM:fault nonsense]'))).status).toBe(200);
    const byHeader = await exchange(`${simulator.url}/openai/v1/chat/completions`, {
      headers: { ...headers, 'x-sim': 'fault error 408-timeout' },
      json: { model: 'chat', ...say('hi') },
    });
    expect(byHeader.status).toBe(408);
  });

  it('is told with every problem when it is specified wrongly', () => {
    expect(() => simulator.fault({ kind: 'reset', at: 'noon' } as unknown as FaultSpec)).toThrow(
      /wrong fault:[^]*at/,
    );
  });
});

describe('pace', () => {
  it('splits the stream into pieces of any size, inside characters too, and loses nothing', async () => {
    const say = (content: string) => ({ stream: true, messages: [{ role: 'user', content }] });
    const text = (answer: Exchange) =>
      eventsOf(answer.text)
        .map((event) => (typeof event === 'string' ? '' : JSON.stringify(event['choices'])))
        .join('');
    const whole = await chat(say('[SIM:say äöü €uro 👩‍👩‍👧 done]'));
    const split = await chat(
      say('[SIM:say äöü €uro 👩‍👩‍👧 done][SIM:split 1][SIM:think 1][SIM:delay 1]'),
    );
    expect(text(split)).toBe(text(whole));
  });
});
