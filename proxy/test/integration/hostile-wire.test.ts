import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chatBody,
  noCredential,
  ownUpstream,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

/** What an upstream does with one request, to the byte. */
type Conduct = {
  readonly status: number;
  readonly framing: 'length' | 'chunked' | 'close' | 'short length' | 'long length' | 'bad chunk';
  readonly isStream: boolean;
  readonly body: 'chat' | 'responses' | 'nothing' | 'page';
  readonly headers: readonly string[];
  /** Sizes of the pieces that it is written in; the rest is one more. */
  readonly pieces: readonly number[];
  /** How much of it is written, in percent. */
  readonly percent: number;
  readonly end: 'keep' | 'close' | 'reset';
  /** Answers before it has read the request. */
  readonly isEarly: boolean;
};

const informational = 'HTTP/1.1 100 Continue\r\n\r\n';

const headers = [
  'connection: close',
  'connection: upgrade',
  'content-encoding: br',
  'content-encoding: gzip',
  'content-encoding: identity',
  'content-type: text/plain',
  'date: never',
  'keep-alive: timeout=0',
  'location: http://127.0.0.1:1/',
  'retry-after-ms: -1',
  'retry-after: 0',
  'retry-after: x',
  'set-cookie: a=b',
  'trailer: x',
  'transfer-encoding: identity',
  'upgrade: websocket',
  'www-authenticate: Basic',
  'x-empty:',
  'x-ms-region: \t ',
  'x-ratelimit-remaining-requests: NaN',
  'x-ratelimit-remaining-tokens: -5',
  'x-request-id: \u00e9',
  'x-request-id: a b',
  `x-long: ${'y'.repeat(9_000)}`,
  `x-longer: ${'y'.repeat(40_000)}`,
  informational,
];

const often = <T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });

const conduct: fc.Arbitrary<Conduct> = fc.record({
  status: often(
    200,
    fc.constantFrom(201, 204, 304, 400, 401, 404, 407, 408, 421, 426, 429, 500, 502, 503),
  ),
  framing: fc.constantFrom<Conduct['framing']>(
    ...(['length', 'length', 'chunked', 'chunked'] as const),
    ...(['close', 'short length', 'long length', 'bad chunk'] as const),
  ),
  isStream: fc.boolean(),
  body: often<Conduct['body']>('chat', fc.constantFrom('responses', 'nothing', 'page')),
  headers: fc.array(fc.constantFrom(...headers), { maxLength: 3 }),
  pieces: fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 6 }),
  percent: often(100, fc.nat(100)),
  end: fc.constantFrom('keep', 'keep', 'close', 'reset'),
  isEarly: often(false, fc.constant(true)),
});

const usualAnswer: Conduct = {
  status: 200,
  framing: 'length',
  isStream: false,
  body: 'chat',
  headers: [],
  pieces: [],
  percent: 100,
  end: 'keep',
  isEarly: false,
};

const chat = { id: 'c', created: 1, model: 'm' };
const chatUsage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
const chatAnswer = JSON.stringify({
  ...chat,
  object: 'chat.completion',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'hé\u{1f600}llo' }, finish_reason: 'stop' },
  ],
  usage: chatUsage,
});
const chunk = (choices: unknown[], more: object = {}) =>
  `data: ${JSON.stringify({ ...chat, object: 'chat.completion.chunk', choices, ...more })}\n\n`;
const chatStream = [
  chunk([{ index: 0, delta: { role: 'assistant', content: 'hé' }, finish_reason: null }]),
  chunk([{ index: 0, delta: { content: 'llo' }, finish_reason: null }]),
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]),
  chunk([], { usage: chatUsage }),
  'data: [DONE]\n\n',
].join('');

const part = { type: 'output_text', text: 'hello', annotations: [] };
const item = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed' };
const response = {
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  model: 'm',
  status: 'completed',
  output: [{ ...item, content: [part] }],
  usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
};
const event = (type: string, more: object) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
const responsesStream = [
  event('response.created', { response: { ...response, status: 'in_progress', output: [] } }),
  event('response.output_item.added', { output_index: 0, item: { ...item, content: [] } }),
  event('response.content_part.added', { ...place, part: { ...part, text: '' } }),
  event('response.output_text.delta', { ...place, delta: 'hello' }),
  event('response.output_text.done', { ...place, text: 'hello' }),
  event('response.output_item.done', { output_index: 0, item: response.output[0] }),
  event('response.completed', { response }),
].join('');

function typeOf({ body, isStream }: Conduct): string {
  if (body === 'page') return 'text/html';
  return isStream ? 'text/event-stream' : 'application/json';
}

function contentOf({ body, isStream }: Conduct): string {
  if (body === 'nothing') return '';
  if (body === 'page') return '<html>gateway</html>';
  if (body === 'chat') return isStream ? chatStream : chatAnswer;
  return isStream ? responsesStream : JSON.stringify(response);
}

function bytesOf(given: Conduct): Buffer {
  const content = Buffer.from(contentOf(given));
  const framing = {
    close: '',
    chunked: 'transfer-encoding: chunked\r\n',
    'bad chunk': 'transfer-encoding: chunked\r\n',
    length: `content-length: ${content.length}\r\n`,
    'short length': `content-length: ${Math.max(0, content.length - 5)}\r\n`,
    'long length': `content-length: ${content.length + 5}\r\n`,
  }[given.framing];
  const own = given.headers.filter((line) => line !== informational);
  const head = [
    own.length < given.headers.length ? informational : '',
    `HTTP/1.1 ${given.status} Whatever\r\n`,
    `content-type: ${typeOf(given)}\r\n`,
    ...own.map((line) => `${line}\r\n`),
    framing,
    '\r\n',
  ].join('');
  if (!framing.includes('chunked')) return Buffer.concat([Buffer.from(head), content]);
  const chunks = [];
  for (let at = 0; at < content.length; at += 97) {
    const bytes = content.subarray(at, at + 97);
    const said = given.framing === 'bad chunk' && at > 0 ? bytes.length + 1 : bytes.length;
    chunks.push(Buffer.from(`${said.toString(16)}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat([Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')]);
}

async function act(socket: Socket, given: Conduct): Promise<void> {
  const whole = bytesOf(given);
  const bytes = whole.subarray(0, Math.ceil((whole.length * given.percent) / 100));
  let at = 0;
  for (const size of [...given.pieces, bytes.length]) {
    if (at >= bytes.length || socket.destroyed) break;
    socket.write(bytes.subarray(at, at + size));
    at += size;
    await turn();
  }
  if (given.end === 'reset') socket.resetAndDestroy();
  // Whoever waits for more must not wait for ever.
  else if (given.end === 'close' || JSON.stringify(given) !== JSON.stringify(usualAnswer))
    socket.end();
}

/** What the next attempts meet. */
let conducts: Conduct[] = [];
let server: Server;
let gateway: GatewayUnderTest;

/** Answers one request after another; what comes of one after its early answer is read and left. */
function serve(socket: Socket): void {
  let text = '';
  let isAnswered = false;
  socket.on('error', () => {});
  socket.on('data', (data) => {
    text += data.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    const isWhole = text.length >= end + 4 + length;
    if (!isAnswered && (isWhole || conducts[0]?.isEarly)) {
      isAnswered = true;
      void act(socket, conducts.shift() ?? usualAnswer);
    }
    if (!isWhole) return;
    text = text.slice(end + 4 + length);
    isAnswered = false;
  });
}

beforeAll(async () => {
  server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  gateway = await startGatewayUnderTest({
    deployments: [
      ownUpstream(origin, 'of-chat', { operations: ['chat'] }),
      ownUpstream(origin, 'of-responses', { operations: ['responses'] }),
      ownUpstream(origin, 'second', { model: 'of-chat', id: 'second', operations: ['chat'] }),
    ],
    credentials: [noCredential(origin)],
    router: { retries: 0, coolDownMs: 0 },
    options: { logLevel: 'error' },
  });
});
afterAll(async () => {
  await gateway.close();
  server.close();
});

const request = fc.record({
  model: fc.constantFrom('of-chat', 'of-responses'),
  path: fc.constantFrom('/v1/chat/completions', '/v1/responses'),
  stream: fc.boolean(),
  /** The caller leaves once it has so many pieces of the answer. */
  leavesAfter: often(Number.POSITIVE_INFINITY, fc.nat(3)),
  conducts: fc.array(conduct, { minLength: 1, maxLength: 3 }),
});
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

/** @returns what came, and whether its end did */
async function receive({ model, path, stream, leavesAfter }: Request) {
  const body = path.endsWith('responses')
    ? responsesBody(model, 'x', { stream })
    : chatBody(model, 'x', { stream });
  const leaving = new AbortController();
  const decoder = new TextDecoder();
  let text = '';
  let pieces = 0;
  let type = '';
  try {
    const answer = await gateway.call(path, body, { signal: leaving.signal });
    type = answer.headers.get('content-type') ?? '';
    for await (const bytes of answer.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      pieces += 1;
      if (pieces > leavesAfter) leaving.abort();
    }
    return { text, type, isWhole: true };
  } catch {
    return { text, type, isWhole: false };
  }
}

/** A stream says how it ended; JSON is whole, unless the upstream's own framing ended it just behind a brace. */
function isCut({ path, conducts: met }: Request, { text, type }: { text: string; type: string }) {
  if (type.startsWith('text/event-stream')) {
    const ends = path.endsWith('responses')
      ? ['"response.completed"', '"response.failed"', '"error"']
      : ['data: [DONE]', '"error"'];
    return !ends.some((end) => text.includes(end));
  }
  const isMisframed = met.some(({ framing }) => framing === 'short length' || framing === 'close');
  if (text === '' || (isMisframed && text.trimEnd().endsWith('}'))) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

describe('whatever an upstream does with its connection', () => {
  it('is no fault of the gateway, no answer that was cut looks whole, and each request has one record', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        conducts = [...given.conducts];
        const received = await receive(given);
        expect(received.text).not.toContain('internal_error');
        expect(received.isWhole && isCut(given, received) ? received.text : '').toBe('');
        await gateway.until(() => gateway.proxy.meter.counts.inFlight === 0);
      }),
      { numRuns: 300 },
    );
    const { admitted, settled } = gateway.proxy.meter.counts;
    expect([settled, gateway.usage.length]).toEqual([admitted, admitted]);
    // Most ways in which a request can end have been met.
    expect(gateway.usage.map(({ outcome }) => outcome)).toEqual(
      expect.arrayContaining(['completed', 'rejected', 'failed', 'interrupted']),
    );
    const lines = gateway.log().trimEnd().split('\n');
    expect(lines.filter((line) => !line.startsWith('{"level":"info",'))).toEqual([]);
  });
});
