import type { JsonObject } from '@aigateway/contract/records';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let other: TestServer;
let received = '';

beforeEach(async () => {
  other = await startServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      received = Buffer.concat(chunks).toString();
      response.setHeader('content-type', 'application/json');
      response.end('{"choices":[]}');
    });
  });
  gateway = await startGatewayUnderTest({
    deployments: [
      { resourceName: 'simulator', deployment: 'gpt-4o' },
      ownUpstream(other.origin, 'elsewhere'),
    ],
    credentials: [noCredential(other.origin)],
  });
});
afterEach(async () => {
  await gateway.close();
  await other.close();
});

const cached = { cache_control: { type: 'ephemeral' } };
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };

/** What Roo Code, Cline, Kilo and Qwen Code add for other vendors. */
const bodies: [string, JsonObject][] = [
  ['cache_control on a message', { messages: [{ role: 'user', content: 'x', ...cached }] }],
  [
    'cache_control on a part',
    { messages: [{ role: 'user', content: [{ type: 'text', text: 'x', ...cached }] }] },
  ],
  ['cache_control on a tool', { tools: [{ ...tool, ...cached }] }],
  ['top_k', { top_k: 40 }],
  ['thinking', { thinking: { type: 'enabled', budget_tokens: 1024 } }],
  ['enable_thinking', { enable_thinking: true }],
  ['thinking_budget', { thinking_budget: 99 }],
  ['preserve_thinking', { preserve_thinking: true }],
  [
    'reasoning_content',
    {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'y', reasoning_content: 'hm' },
        { role: 'user', content: 'z' },
      ],
    },
  ],
];

describe('a field of another vendor', () => {
  it.each(bodies)('is removed for Azure without a refusal, and named: %s', async (_, extra) => {
    const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', extra));
    expect(response.status).toBe(200);
    expect(response.headers.get('x-aigateway-changes')).toMatch(/^-/);
    const statuses = gateway.simulator
      .requests()
      .filter(({ method }) => method === 'POST')
      .map(({ status }) => status);
    expect(statuses).toEqual([200]);
  });

  it.each(bodies)('is passed on to an upstream that is not Azure: %s', async (_, extra) => {
    const body = chatBody('elsewhere', 'x', extra);
    await (await gateway.call('/v1/chat/completions', body)).text();
    expect(JSON.parse(received)).toEqual(body);
  });

  it('is whatever the list says', async () => {
    gateway.proxy.update({
      ...gateway.records,
      settings: { ...gateway.records.settings, dropVendorFields: ['x_own.deep'] },
    });
    const response = await gateway.call(
      '/v1/chat/completions',
      chatBody('gpt-4o', 'x', { metadata: { a: 'b' }, x_own: { deep: 1, kept: 2 } }),
    );
    expect(response.headers.get('x-aigateway-changes')).toContain('-x_own.deep');
    expect(await response.text()).not.toContain(callerKey);
  });
});
