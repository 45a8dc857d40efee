import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        { name: 'east', keys: ['east-key'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o', operations: ['chat'] },
      { resourceName: 'east', deployment: '*', model: '*', id: 'any' },
    ],
    options: { maxHeaderBytes: 65_536 },
  });
});
afterAll(() => gateway.close());

const chat = '/v1/chat/completions';

/** Each of these took time that grew with the square of its length: minutes here, in which nobody else was answered. */
describe('text that a pattern reads again from each of its characters', () => {
  it('in the namespace of a tool is taken in one pass', async () => {
    const tools = [
      {
        type: 'namespace',
        name: `${'_'.repeat(2_000_000)}x`,
        tools: [{ type: 'function', name: 'f' }],
      },
    ];
    const response = await gateway.call('/v1/responses', responsesBody('gpt-4o', 'x', { tools }));
    expect(response.status).toBe(200);
  });

  it('in the query of a request without a key is taken in one pass', async () => {
    const path = `/deployments/x?${'api-version=?'.repeat(4_500)}`;
    expect((await gateway.call(path, undefined, { key: 'sk-unknown' })).status).toBe(404);
  });
});

describe('a body', () => {
  it('that comes byte by byte is held as its bytes, not as an object for each', async () => {
    const body = JSON.stringify(chatBody('gpt-4o', 'x'.repeat(300_000)));
    const socket = await rawSocket(gateway.url);
    socket.write(
      `POST ${chat} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${callerKey}\r\n` +
        'transfer-encoding: chunked\r\nconnection: close\r\n\r\n',
    );
    socket.write(Array.from(body, (byte) => `1\r\n${byte}\r\n`).join(''));
    socket.write('0\r\n\r\n');
    expect(await socket.closed()).toContain('HTTP/1.1 200 OK');
    expect(gateway.simulator.requests().at(-1)?.body).toEqual(JSON.parse(body));
  });

  it.each([
    ['nests without end', `{"model":"gpt-4o","messages":${'['.repeat(1e6)}${']'.repeat(1e6)}}`],
    [
      'has members without end',
      `{"model":"gpt-4o"${Array.from({ length: 5_000 }, (_, n) => `,"m${n}":0`).join('')}}`,
    ],
    [
      'makes a field that is read here long',
      `{"model":"gpt-4o","metadata":[${'[],'.repeat(1e6)}1]}`,
    ],
  ])('that %s is refused before anything is made of it', async (_, body) => {
    const response = await gateway.call(chat, body);
    expect(response.status).toBe(400);
  });
});

describe('tags', () => {
  it('are cut to what a log line can bear', async () => {
    const tags = Array.from({ length: 200 }, () => 't'.repeat(300));
    const response = await gateway.call(chat, chatBody('gpt-4o', 'x', { tags }));
    await response.text();
    await gateway.until(() => (gateway.usage.at(-1)?.tags.length ?? 0) > 0);
    expect(gateway.usage.at(-1)?.tags).toEqual(Array(64).fill('t'.repeat(256)));
  });
});

describe('half a surrogate pair in the name of a model', () => {
  it.each([
    ['model', '{"model":"\\ud800","messages":[]}'],
    ['fallbacks', '{"model":"gpt-4o","messages":[],"fallbacks":["\\ud800"]}'],
  ])(
    'is refused before a deployment is called, whose answer could name it in no header: %s',
    async (_, body) => {
      const { admitted } = gateway.proxy.meter.counts;
      expect((await gateway.call(chat, body)).status).toBe(400);
      expect(gateway.proxy.meter.counts.admitted).toBe(admitted);
    },
  );
});
