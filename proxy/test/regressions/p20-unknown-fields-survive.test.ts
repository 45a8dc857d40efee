import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anyJson, withoutBackslash } from '../../../contract/test/json.fixture.ts';
import {
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer;
let received: Buffer;
let answer: { type: string; chunks: Buffer[] };

beforeAll(async () => {
  upstream = await startServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      if (request.method === 'GET') {
        response.end();
        return;
      }
      received = Buffer.concat(chunks);
      response.setHeader('content-type', answer.type);
      for (const chunk of answer.chunks) response.write(chunk);
      response.end();
    });
  });
  gateway = await startGatewayUnderTest({
    deployments: [
      ownUpstream(upstream.origin, 'm'),
      ownUpstream(upstream.origin, 'renamed', { id: 'alias', model: 'alias' }),
    ],
    credentials: [noCredential(upstream.origin)],
  });
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});

const paths = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses'];

/** Names that mean nothing to the gateway. */
const foreignName = fc
  .string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
  .filter((name) => name !== '__proto__')
  .map((name) => `x ${withoutBackslash(name)}`);

const foreignFields = fc.dictionary(foreignName, anyJson({ maxDepth: 4 }), { maxKeys: 8 });

/** The same JSON in another spelling: white space, escapes, numbers that a parser would write otherwise. */
const spellings: ((text: string) => string)[] = [
  (text) => text,
  (text) => JSON.stringify(JSON.parse(text), null, 2),
  (text) =>
    text.replaceAll(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  (text) =>
    `\r\n\t ${text.slice(0, -1)},"x big":12345678901234567890,"x real":1.0,"x exp":1E+2} \n`,
];

const request = fc.record({
  path: fc.constantFrom(...paths),
  fields: foreignFields,
  spelling: fc.constantFrom(...spellings),
});

async function call(path: string, text: string): Promise<Buffer> {
  const response = await gateway.call(path, text);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe('what the gateway does not know', () => {
  it('reaches the upstream byte for byte', async () => {
    answer = { type: 'application/json', chunks: [Buffer.from('{}')] };
    await fc.assert(
      fc.asyncProperty(request, async ({ path, fields, spelling }) => {
        const text = spelling(JSON.stringify({ ...fields, model: 'm', input: 'x', messages: [] }));
        await call(path, text);
        expect(received.toString()).toBe(text);
      }),
      { numRuns: 150 },
    );
  });

  it('reaches the upstream byte for byte around the one name that must change', async () => {
    answer = { type: 'application/json', chunks: [Buffer.from('{}')] };
    await fc.assert(
      fc.asyncProperty(request, async ({ path, fields, spelling }) => {
        const text = spelling(JSON.stringify({ ...fields, model: 'alias', input: 'x' }));
        await call(path, text);
        expect(received.toString()).toBe(text.replace('"alias"', '"renamed"'));
      }),
      { numRuns: 150 },
    );
  });

  it('comes back from the upstream byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ path, fields, spelling }) => {
        // Responses' ids are led back to their home, so the answer to a stored one is rewritten.
        const body = JSON.stringify({ model: 'm', input: 'x', store: false });
        const text = spelling(JSON.stringify({ ...fields, id: 'x', usage: { total_tokens: 1 } }));
        answer = { type: 'application/json', chunks: [Buffer.from(text)] };
        expect((await call(path, body)).toString()).toBe(text);
      }),
      { numRuns: 150 },
    );
  });

  it('comes back in streams byte for byte, however they are cut', async () => {
    const event = foreignFields.map(
      (fields) =>
        `data: ${JSON.stringify({ ...fields, choices: [{ index: 0, delta: { content: 'x' }, ...fields }] })}\n\n`,
    );
    const stream = fc.record({
      events: fc.array(event, { minLength: 1, maxLength: 5 }),
      sizes: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(stream, async ({ events, sizes }) => {
        const text = `${events.join('')}data: [DONE]\n\n`;
        answer = { type: 'text/event-stream', chunks: cut(Buffer.from(text), sizes) };
        const body = JSON.stringify({ model: 'm', stream: true, messages: [] });
        expect((await call('/v1/chat/completions', body)).toString()).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  it('survives in what must be parsed: hosted tools and items of a stored conversation', async () => {
    answer = {
      type: 'application/json',
      chunks: [
        Buffer.from('{"id":"resp_1","object":"response","output":[],"x unknown":{"a":[1]}}'),
      ],
    };
    const made = JSON.parse(
      (await call('/v1/responses', '{"model":"m","input":"x"}')).toString(),
    ) as {
      id: string;
    };
    expect(made).toMatchObject({ 'x unknown': { a: [1] } });
    const body = {
      model: 'm',
      previous_response_id: made.id,
      input: [{ type: 'a_new_kind_of_item', deep: { er: [{ x: null }] } }],
      tools: [{ type: 'web_search', filters: { allowed_domains: ['a.b'] } }, { type: 'brand_new' }],
      brand_new: { a: 1 },
    };
    await call('/v1/responses', JSON.stringify(body));
    expect(JSON.parse(received.toString())).toEqual({ ...body, previous_response_id: 'resp_1' });
  });
});

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  for (let index = 0; from < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    chunks.push(bytes.subarray(from, from + size));
    from += size;
  }
  return chunks;
}
