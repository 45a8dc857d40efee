/**
 * The upstream that every target stands in front of: answers chat, responses and embeddings from memory, under any path that ends in the
 * operation's name. Runs as a process of its own: `node upstream.ts PORT`.
 */
import { createServer, type ServerResponse } from 'node:http';
import { contentEvents, oneByOneMarker } from './workloads.ts';

const usage = { prompt_tokens: 214, completion_tokens: contentEvents, total_tokens: 414 };
const filtered = { filtered: false, severity: 'safe' };
const filter = { hate: filtered, self_harm: filtered, sexual: filtered, violence: filtered };
const identity = { id: 'chatcmpl-bench', created: 1_770_000_000, model: 'gpt-bench-2026-01-01' };

const chatAnswer = Buffer.from(
  JSON.stringify({
    ...identity,
    object: 'chat.completion',
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: filter }],
    choices: [
      {
        index: 0,
        finish_reason: 'stop',
        logprobs: null,
        message: { role: 'assistant', content: 'It counts. '.repeat(30), refusal: null },
        content_filter_results: filter,
      },
    ],
    usage,
  }),
);

const embeddingAnswer = Buffer.from(
  JSON.stringify({
    object: 'list',
    data: [
      {
        object: 'embedding',
        index: 0,
        embedding: Buffer.from(new Float32Array(1536).fill(0.0125).buffer).toString('base64'),
      },
    ],
    model: 'text-embedding-bench',
    usage: { prompt_tokens: 214, total_tokens: 214 },
  }),
);

function event(choices: object[], more: object = {}): string {
  const chunk = { ...identity, object: 'chat.completion.chunk', choices, ...more };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

const head = event([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
const content = event([
  {
    index: 0,
    delta: { content: ' token' },
    finish_reason: null,
    logprobs: null,
    content_filter_results: {},
  },
]);
const end = event([{ index: 0, delta: {}, finish_reason: 'stop' }]);
const usageEvent = event([], { usage });
const burstSize = 20;

/** Events of content as they are written: each by itself, and twenty at once. */
type Content = { readonly one: Buffer; readonly burst: Buffer };

function contentOf(text: string): Content {
  return { one: Buffer.from(text), burst: Buffer.from(text.repeat(burstSize)) };
}

const chatContent = contentOf(content);

/** Writes one stream, its events of content twenty at once or one in a timer tick. */
function stream(
  response: ServerResponse,
  [first, { one, burst }, last]: readonly [string, Content, string],
  oneByOne: boolean,
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.write(first);
  const piece = oneByOne ? one : burst;
  let left = oneByOne ? contentEvents : contentEvents / burstSize;
  const next = (): void => {
    if (response.destroyed) return;
    if (left === 0) {
      response.end(last);
      return;
    }
    left -= 1;
    const goOn = response.write(piece);
    if (!goOn) response.once('drain', next);
    else if (oneByOne) setTimeout(next, 1);
    else setImmediate(next);
  };
  next();
}

function typedEvent(type: string, more: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 7, ...more })}\n\n`;
}

const answered = {
  id: 'resp_bench',
  object: 'response',
  created_at: identity.created,
  status: 'completed',
  model: identity.model,
  parallel_tool_calls: true,
  store: false,
  tools: [],
  usage: null,
};
const part = { item_id: 'msg_bench', output_index: 0, content_index: 0 };
const message = { id: 'msg_bench', type: 'message', role: 'assistant', content: [] };
const responsesStream = [
  typedEvent('response.created', { response: { ...answered, status: 'in_progress', output: [] } }) +
    typedEvent('response.output_item.added', { output_index: 0, item: message }),
  contentOf(
    typedEvent('response.output_text.delta', {
      ...part,
      delta: ' token',
      obfuscation: 'x'.repeat(9),
    }),
  ),
  typedEvent('response.output_item.done', { output_index: 0, item: message }) +
    typedEvent('response.completed', {
      response: {
        ...answered,
        output: [message],
        usage: { input_tokens: 214, output_tokens: contentEvents, total_tokens: 414 },
      },
    }),
] as const;

const server = createServer((request, response) => {
  let start = '';
  request.on('data', (chunk: Buffer) => {
    if (start === '') start = chunk.toString('latin1', 0, 4096);
    // What is asked for stands at the end of the body, after the messages; large bodies are never streams here.
    else if (start.length < 8192) start += chunk.toString('latin1', 0, 4096);
  });
  request.on('end', () => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const operation = path.slice(path.lastIndexOf('/') + 1);
    if (operation === 'completions' && start.includes('"stream":true')) {
      const withUsage = start.includes('"include_usage":true') ? usageEvent : '';
      const parts = [head, chatContent, `${end}${withUsage}data: [DONE]\n\n`] as const;
      stream(response, parts, start.includes(oneByOneMarker));
      return;
    }
    if (operation === 'responses') {
      stream(response, responsesStream, start.includes(oneByOneMarker));
      return;
    }
    const answer = { completions: chatAnswer, embeddings: embeddingAnswer }[operation];
    const body = answer ?? Buffer.from('{"error":{"message":"unknown path","code":"404"}}');
    response.writeHead(answer ? 200 : 404, {
      'content-type': 'application/json',
      'content-length': body.length,
    });
    response.end(body);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
// Ended by its parent, also when that dies without a word.
process.stdin.resume().on('end', () => process.exit(0));
