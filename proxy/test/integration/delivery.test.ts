import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { JsonObject, Operation } from '@aigateway/contract/records';
import { afterEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  noCredential,
  ownUpstream,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer | undefined;
afterEach(async () => {
  await gateway.close();
  await upstream?.close();
  upstream = undefined;
});

/** A gateway in front of an upstream whose answers the test writes itself. */
async function startWith(
  answer: (response: ServerResponse) => void,
  spec: Partial<GatewaySpec> = {},
) {
  upstream = await startServer((request, response) => {
    request.resume();
    if (request.method === 'GET') response.end();
    else answer(response);
  });
  gateway = await startGatewayUnderTest({
    deployments: [ownUpstream(upstream.origin, 'm')],
    credentials: [noCredential(upstream.origin)],
    router: { retries: 0 },
    ...spec,
  });
}

const soon = { timing: { holdMs: 30, commentMs: 30, whitespaceMs: 30, blockedMs: 60_000 } };
const eventStream = { 'content-type': 'text/event-stream' };
const stream = chatBody('m', 'x', { stream: true });

function chunk(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
}

const finish =
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

describe('a caller who reads slowly', () => {
  it('slows its upstream down, and gets every byte in the end', async () => {
    const event = chunk('x'.repeat(65_000));
    const events = 1500;
    let sent = 0;
    await startWith((response) => {
      response.writeHead(200, eventStream);
      const send = () => {
        while (sent < events) {
          sent += 1;
          if (!response.write(event)) {
            response.once('drain', send);
            return;
          }
        }
        response.end(finish);
      };
      send();
    });
    const socket = await rawSocket(gateway.url);
    const body = JSON.stringify(stream);
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${callerKey}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
    await socket.until('200 OK');
    socket.socket.pause();
    // Until nothing moves any more: the buffers of three sockets are full.
    for (let before = -1; before !== sent; await delay(100)) before = sent;
    const held = sent * event.length;
    expect(held).toBeLessThan(40_000_000);
    expect(sent).toBeLessThan(events);
    const whileHeld = gateway.proxy.meter.counts.inFlight;
    expect(whileHeld).toBe(1);
    socket.socket.resume();
    const text = await socket.closed();
    expect(text).toContain('data: [DONE]\n\n');
    expect(text.match(/"delta":\{"content"/g)).toHaveLength(events);
    await gateway.until(() => gateway.usage.length === 1);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed' });
  });

  it.each([
    ['a stream', true],
    ['a whole answer', false],
  ])(
    'but takes nothing more of %s is ended, and its upstream call with it',
    async (_, isStream) => {
      const left = Promise.withResolvers<void>();
      await startWith(
        (response) => {
          response.on('close', () => left.resolve());
          const content = 'x'.repeat(20_000_000);
          if (isStream) {
            response.writeHead(200, eventStream);
            response.write(chunk(content));
          } else {
            response.writeHead(200, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ choices: [{ message: { content } }] }));
          }
        },
        { pipeline: { timing: { ...soon.timing, blockedMs: 50 } } },
      );
      const socket = await rawSocket(gateway.url);
      const body = JSON.stringify({ ...stream, stream: isStream });
      socket.socket.pause();
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${callerKey}\r\n` +
          `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      await left.promise;
      await gateway.until(() => gateway.usage.length === 1);
      expect(gateway.usage[0]).toMatchObject({ outcome: 'aborted' });
      socket.socket.resume();
      expect((await socket.closed()).length).toBeLessThan(20_000_000);
    },
  );

  it('is one caller alone: others are served meanwhile', async () => {
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.write(chunk('x'.repeat(3_000_000)));
      response.end(finish);
    });
    const readers = await Promise.all(
      Array.from({ length: 5 }, () => gateway.call('/v1/chat/completions', stream)),
    );
    expect(
      (await (await gateway.call('/v1/chat/completions', stream)).text()).length,
    ).toBeGreaterThan(3_000_000);
    for (const reader of readers)
      expect((await reader.text()).endsWith('data: [DONE]\n\n')).toBe(true);
  });
});

describe('a stream', () => {
  it('reaches its caller event by event, not at its end', async () => {
    let last: ServerResponse | undefined;
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.write(chunk('first'));
      last = response;
    });
    const response = await gateway.call('/v1/chat/completions', stream);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).toString()).toContain('first');
    last?.end(finish);
    const second = await reader?.read();
    expect(Buffer.from(second?.value ?? []).toString()).toContain('[DONE]');
    for (const [name, value] of [
      ['content-type', 'text/event-stream; charset=utf-8'],
      ['cache-control', 'no-cache'],
      ['x-accel-buffering', 'no'],
      ['content-encoding', null],
      ['content-length', null],
    ] as const) {
      expect(response.headers.get(name)).toBe(value);
    }
  });

  it('is kept alive by comments between its events and never inside one', async () => {
    let last: ServerResponse | undefined;
    await startWith(
      (response) => {
        response.writeHead(200, eventStream);
        response.write(`${chunk('one')}${chunk('two').slice(0, 25)}`);
        last = response;
      },
      { pipeline: soon },
    );
    const response = await gateway.call('/v1/chat/completions', stream);
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      text += decoder.decode(piece, { stream: true });
      if (text.split(': waiting').length > 3 && last !== undefined) {
        last.end(chunk('two').slice(25) + finish);
        last = undefined;
      }
    }
    const blocks = text.split('\n\n').filter((block) => block !== '');
    expect(blocks.filter((block) => block === ': waiting').length).toBeGreaterThanOrEqual(3);
    const data = blocks.filter((block) => block !== ': waiting');
    expect(data).toHaveLength(4);
    for (const block of data.slice(0, -1)) {
      expect(() => JSON.parse(block.slice('data: '.length)) as unknown).not.toThrow();
    }
  });

  it('is ended properly where the upstream forgets to', async () => {
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.end(chunk('x') + finish.replace('data: [DONE]\n\n', ''));
    });
    const text = await (await gateway.call('/v1/chat/completions', stream)).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed' });
  });

  it('that ends without a word is told as interrupted', async () => {
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.end(chunk('only this'));
    });
    const text = await (await gateway.call('/v1/chat/completions', stream)).text();
    expect(text).toContain('only this');
    expect(text).toContain('stream_interrupted');
    expect(text).not.toContain('[DONE]');
    expect(gateway.usage[0]).toMatchObject({ outcome: 'interrupted' });
  });

  it('that goes silent in its middle is ended', async () => {
    await startWith(
      (response) => {
        response.writeHead(200, eventStream);
        response.write(chunk('then nothing'));
      },
      { pipeline: { bodyIdleMs: 200 } },
    );
    const text = await (await gateway.call('/v1/chat/completions', stream)).text();
    expect(text).toContain('stream_interrupted');
  });
});

describe('a whole answer that takes long', () => {
  it('begins with white space, and is still one JSON value', async () => {
    let held: ServerResponse | undefined;
    await startWith(
      (response) => {
        held = response;
      },
      { pipeline: soon },
    );
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect(response.status).toBe(200);
    held?.setHeader('content-type', 'application/json');
    held?.end('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}');
    const text = await response.text();
    expect(text).toMatch(/^ +\{/);
    expect(JSON.parse(text)).toMatchObject({ choices: [] });
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'completed',
      tokens: { input: 3, output: 4 },
    });
  });

  it('breaks the connection when it fails after that, so that nobody takes it for an answer', async () => {
    let held: ServerResponse | undefined;
    await startWith(
      (response) => {
        held = response;
      },
      { pipeline: soon },
    );
    const response = await gateway.call('/v1/responses', responsesBody('m', 'x'));
    expect(response.status).toBe(200);
    held?.writeHead(500).end();
    await expect(response.text()).rejects.toThrow('terminated');
    await gateway.until(() => gateway.usage.length === 1);
    expect(['failed', 'aborted']).toContain(gateway.usage[0]?.outcome);
  });

  it('larger than memory should hold is passed on as it comes', async () => {
    const large = JSON.stringify({
      data: 'x'.repeat(12_000_000),
      usage: { prompt_tokens: 5, total_tokens: 5 },
    });
    await startWith((response) => {
      response.setHeader('content-type', 'application/json');
      response.end(large);
    });
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => warnings.push(message);
    process.on('warning', onWarning);
    const response = await gateway.call('/v1/embeddings', { model: 'm', input: 'x' });
    expect((await response.text()) === large).toBe(true);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed', tokens: { input: 5 } });
    process.off('warning', onWarning);
    // A listener for every chunk that comes while nothing can be written would be a leak.
    expect(warnings).toEqual([]);
  });

  it('that is no JSON is no answer', async () => {
    await startWith((response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<html>It works!</html>');
    });
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('html');
  });

  it('that stops short is none, though nothing but its text tells so', async () => {
    const whole = '{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\r\n';
    let calls = 0;
    await startWith((response) => {
      calls += 1;
      response.useChunkedEncodingByDefault = false;
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
      response.end(calls === 1 ? whole.slice(0, 40) : whole);
    });
    const cut = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect(cut.status).toBe(502);
    expect(await cut.json()).toMatchObject({ error: { code: 'upstream_unavailable' } });
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect([response.status, await response.text()]).toEqual([200, whole]);
  });

  it('that is broken JSON is an error where it must be read', async () => {
    await startWith(
      (response) => {
        response.setHeader('content-type', 'application/json');
        response.end('{"id":}');
      },
      { settings: { responseModel: 'alias' } },
    );
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_error' } });
  });
});

describe('a gateway that is told to stop', () => {
  it('is not ready at once, finishes what is under way, and takes nothing new', async () => {
    let last: ServerResponse | undefined;
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.write(chunk('begun'));
      last = response;
    });
    const { opsUrl = '' } = gateway.proxy;
    expect((await fetch(`${opsUrl}/readyz`)).status).toBe(200);
    const response = await gateway.call('/v1/chat/completions', stream);
    const drained = gateway.proxy.drain();
    const readiness = await fetch(`${opsUrl}/readyz`);
    expect(readiness.status).toBe(503);
    expect(await readiness.text()).toContain('draining');
    expect((await fetch(`${opsUrl}/livez`)).status).toBe(200);
    await expect(gateway.call('/v1/chat/completions', stream)).rejects.toThrow('fetch failed');
    last?.end(finish);
    expect(await response.text()).toContain('[DONE]');
    await drained;
    expect(gateway.proxy.meter.counts).toMatchObject({ admitted: 1, settled: 1 });
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed' });
  });

  it('answers the request that is still on its way, and waits for nobody who is idle', async () => {
    await startWith((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"choices":[]}');
    });
    const body = JSON.stringify(chatBody('m', 'hi'));
    const socket = await rawSocket(gateway.url);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nexpect: 100-continue\r\nauthorization: Bearer ${callerKey}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(head);
    await socket.until('100 Continue');
    const idle = await rawSocket(gateway.url);
    const drained = gateway.proxy.drain();
    await idle.closed();
    socket.write(body);
    expect(await socket.closed()).toContain('HTTP/1.1 200');
    await drained;
    expect(gateway.proxy.meter.counts).toMatchObject({ admitted: 1, settled: 1 });
  });

  const short = { options: { drainMs: 100 } };
  const interrupted = { outcome: 'interrupted', usageSource: 'estimated', status: 200 };

  it('ends a stream that does not end by itself with an error event, and accounts for it', async () => {
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.write(`${chunk('without an end')}data: {"choi`);
    }, short);
    const response = await gateway.call('/v1/chat/completions', stream);
    await gateway.proxy.drain();
    const text = await response.text();
    const [last] = text.trimEnd().split('\n\n').slice(-1);
    expect(text).toContain('without an end');
    expect(JSON.parse((last ?? '').slice('data: '.length))).toMatchObject({
      error: { code: 'not_ready', message: expect.stringContaining('stopping') },
    });
    expect(gateway.proxy.meter.counts).toMatchObject({ admitted: 1, settled: 1, doubleSettled: 0 });
    expect(gateway.usage).toMatchObject([interrupted]);
    expect(gateway.log()).toContain('"calls":1');
  });

  it.each<[string, Operation, string]>([
    [
      'its own',
      'responses',
      [
        { type: 'response.created', response: { id: 'resp_1', status: 'in_progress' } },
        { type: 'response.output_text.delta', delta: 'x' },
      ]
        .map((data, index) => ({ ...data, sequence_number: index }))
        .map((data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`)
        .join(''),
    ],
    ['a bridged', 'chat', chunk('without an end')],
  ])('ends %s stream of responses in the order of its events', async (_, operation, begun) => {
    await startWith((response) => {
      response.writeHead(200, eventStream);
      response.write(begun);
    }, short);
    gateway.proxy.update({
      ...gateway.records,
      deployments: gateway.records.deployments.map((one) => ({ ...one, operations: [operation] })),
    });
    const body = responsesBody('m', 'x', { stream: true });
    const response = await gateway.call('/v1/responses', body);
    await gateway.proxy.drain();
    const events = await readEvents(response);
    const numbers = events.map(({ data }) => (JSON.parse(data) as JsonObject)['sequence_number']);
    expect(numbers).toEqual(numbers.map((_, index) => index));
    expect(events.map(({ event }) => event).slice(-2)).toEqual(['response.failed', 'error']);
    expect(events.at(-1)?.data).toContain('not_ready');
    expect(gateway.usage).toMatchObject([interrupted]);
  });

  it('tells a stream without output yet, and a plain call, that it stops', async () => {
    let asked = 0;
    await startWith(
      () => {
        asked += 1;
      },
      { ...short, pipeline: { timing: { ...soon.timing, whitespaceMs: 60_000 } } },
    );
    const plain = gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    const streamed = await gateway.call('/v1/chat/completions', stream);
    await gateway.until(() => asked === 2);
    await gateway.proxy.drain();
    const response = await plain;
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(response.headers.get('x-aigateway-layer')).toBe('gateway');
    expect(await response.json()).toMatchObject({ error: { code: 'not_ready' } });
    expect(await streamed.text()).toContain('"code":"not_ready"');
    expect(gateway.proxy.meter.counts).toMatchObject({ admitted: 2, settled: 2, doubleSettled: 0 });
    const ends = gateway.usage.map(({ outcome, status }) => `${outcome} ${status}`);
    expect(new Set(ends)).toEqual(new Set(['interrupted 200', 'interrupted 503']));
  });

  it('does not say of who was still sending that it left', async () => {
    await startWith(() => {}, short);
    const socket = await rawSocket(gateway.url);
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${callerKey}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n`,
    );
    await socket.until('100 Continue');
    await gateway.proxy.drain();
    await gateway.until(() => /client_closed|not_ready/.test(gateway.log()));
    expect(gateway.log()).toContain('not_ready');
    expect(gateway.log()).not.toContain('client_closed');
    expect(gateway.usage).toEqual([]);
  });

  it('breaks off a plain answer that has begun with white space', async () => {
    await startWith(() => {}, { ...short, pipeline: soon });
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    await gateway.proxy.drain();
    await expect(response.text()).rejects.toThrow('terminated');
    expect(gateway.usage).toMatchObject([{ outcome: 'interrupted', status: 200 }]);
  });
});
