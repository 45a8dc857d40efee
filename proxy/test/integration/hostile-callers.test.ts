import fc from 'fast-check';
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
      recordedRequests: 10,
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'embed', model: 'text-embedding-3-small' },
          ],
        },
      ],
    },
    deployments: ['gpt-4o', 'embed'].map((deployment) => ({ resourceName: 'east', deployment })),
    settings: { forwardHeaders: ['openai-beta', 'x-custom'], spendTagHeaders: ['x-custom'] },
    router: { retries: 0, coolDownMs: 0 },
    pipeline: { trustedHops: 1 },
    // A connection that the caller wants to keep is not waited for.
    options: { logLevel: 'warn', keepAliveMs: 50, corsOrigins: ['https://app.example'] },
  });
});
afterAll(() => gateway.close());

/** Latin-1 as it may stand in a header: no control character but the tab. */
const octets = fc.string({
  unit: fc
    .oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
      { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
      { weight: 1, arbitrary: fc.constant(0x09) },
    )
    .map((code) => String.fromCharCode(code)),
  maxLength: 20,
});
const oddValues = [
  '',
  '0',
  '-1',
  '1e999',
  'NaN',
  'null',
  '[object Object]',
  '{"a":1}',
  '__proto__',
  'a,b,,c',
  '*',
  '..',
  'x'.repeat(5000),
  '99999999999999999999',
  'é',
];
const value = fc.oneof(octets, fc.constantFrom(...oddValues));

const names = [
  'accept',
  'accept-encoding',
  'access-control-request-headers',
  'access-control-request-method',
  'api-key',
  'azureml-model-deployment',
  'connection',
  'content-encoding',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'idempotency-key',
  'keep-alive',
  'openai-beta',
  'openai-organization',
  'origin',
  'proxy-authorization',
  'range',
  'session_id',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'upgrade',
  'user-agent',
  'via',
  'x-aigateway-changes',
  'x-api-key',
  'x-custom',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-http-method-override',
  'x-litellm-customer-id',
  'x-litellm-num-retries',
  'x-litellm-tags',
  'x-litellm-timeout',
  'x-ms-client-request-id',
  'x-ms-spillover-deployment',
  'x-request-id',
  'x-session-id',
  'x-stainless-timeout',
  '__proto__',
  'constructor',
];
const usual = [
  'accept: text/event-stream',
  'accept-encoding: gzip, br, zstd',
  'content-encoding: gzip',
  'content-type: application/json; charset=utf-16',
  'expect: 100-continue',
  'origin: https://app.example',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'upgrade: websocket',
  'x-forwarded-for: 203.0.113.7, 10.0.0.1',
  `api-key: ${callerKey}`,
  `x-api-key: ${callerKey}`,
];
const line = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...usual) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(...names), value).map(([name, text]) => `${name}: ${text}`),
  },
);

const chat = chatBody('gpt-4o', 'x');
const bodies = [
  chat,
  { ...chat, stream: true },
  responsesBody('gpt-4o', 'x'),
  responsesBody('gpt-4o', 'x', { stream: true }),
  { model: 'embed', input: 'x' },
].map((body) => JSON.stringify(body));

const paths = [
  '/v1/chat/completions',
  '/chat/completions',
  '/v1/responses',
  '/v1/embeddings',
  '/v1/models',
  '/v1/models/gpt-4o',
  '/v1/responses/resp_1',
  '/v1/utils/token_counter',
  '/openai/deployments/gpt-4o/chat/completions',
  '/openai/v1/chat/completions',
  '/engines/gpt-4o/chat/completions',
  '/model/info',
  '/health',
  '/health/readiness',
  '/unknown',
];
const parameter = fc.tuple(
  fc.constantFrom('api-version', 'model', 'key', 'subscription-key', '__proto__', 'limit', ''),
  fc.oneof(
    octets.map((text) => text.replaceAll(/[\s#]/g, '+')),
    fc.constantFrom('', '%', '%zz', '%00', '%0d%0aset-cookie:a=b', '2024-10-21', '?', '[]', '%f0'),
  ),
);

const request = fc.record({
  method: fc.oneof(
    { weight: 5, arbitrary: fc.constant('POST') },
    { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT') },
  ),
  path: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...paths.slice(0, 4)) },
    { weight: 1, arbitrary: fc.constantFrom(...paths) },
  ),
  query: fc.array(parameter, { maxLength: 3 }),
  authorization: fc.oneof(
    { weight: 8, arbitrary: fc.constant(`authorization: Bearer ${callerKey}`) },
    { weight: 1, arbitrary: value.map((text) => `authorization: ${text}`) },
  ),
  lines: fc.array(line, { maxLength: 6 }),
  body: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...bodies) },
    { weight: 1, arbitrary: octets },
  ),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

async function exchange({ method, path, query, authorization, lines, body }: Request) {
  const target =
    query.length === 0 ? path : `${path}?${query.map((one) => one.join('=')).join('&')}`;
  const bytes = Buffer.from(body, 'latin1');
  const head = [
    `${method} ${target} HTTP/1.1`,
    'host: gateway',
    'connection: close',
    `content-length: ${bytes.length}`,
    authorization,
    ...lines,
    '',
    '',
  ].join('\r\n');
  const socket = await rawSocket(gateway.url);
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), bytes]));
  return (await socket.closed()).replace('HTTP/1.1 100 Continue\r\n\r\n', '');
}

/** What a deployment is sent: nothing of the caller's but what is on the list, and what the configuration lets through. */
const sent = new Set([
  'accept',
  'api-key',
  'connection',
  'content-length',
  'content-type',
  'host',
  'openai-beta',
  'traceparent',
  'tracestate',
  'x-custom',
  'x-ms-client-request-id',
]);

describe('whatever a caller says around its request', () => {
  it('is answered once in HTTP, is no fault of the gateway, and goes nowhere unless it may', async () => {
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        const from = gateway.simulator.requests().at(-1)?.sequence ?? 0;
        const answer = await exchange(given);
        const [head = '', ...rest] = answer.split('\r\n\r\n');
        const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
        expect(status).toBeGreaterThanOrEqual(200);
        statuses.add(status);
        expect(head).not.toMatch(/^set-cookie/im);
        expect(rest.join('')).not.toMatch(/internal_error|HTTP\/1\.1 \d/);
        expect(answer).not.toContain(callerKey);
        for (const { sequence, url, headers } of gateway.simulator.requests()) {
          if (sequence <= from || url === '/') continue;
          expect(url).toMatch(
            /^\/east\/openai\/v1\/(chat\/completions|responses(\/[a-z_0-9]+)?|embeddings)(\?[!-~\x80-\xff]*)?$/,
          );
          expect(new URLSearchParams(url.split('?')[1]).has('api-version')).toBe(false);
          expect(Object.keys(headers).filter((name) => !sent.has(name))).toEqual([]);
          expect(headers['api-key']).toBe('k');
        }
        await gateway.until(() => gateway.proxy.meter.counts.inFlight === 0);
      }),
      { numRuns: 400 },
    );
    // Not all were refused for their form.
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 401, 405]));
    const { admitted, settled } = gateway.proxy.meter.counts;
    expect([settled, gateway.usage.length]).toEqual([admitted, admitted]);
    expect(gateway.log()).not.toContain('"level":"error"');
  });
});
