/** One kind of call, measured by itself. */
export type Workload = {
  name: string;
  what: string;
  path: '/v1/chat/completions' | '/v1/embeddings' | '/v1/responses';
  body: string;
  /** Calls at the same time. */
  connections: number;
  /** Events that one answer has; 0 when it is JSON. */
  events: number;
  /** What the gateway may cost, as a ratio to the bare pass-through: the bound, and what we aim at. */
  goal?: { must: number; aim: number };
};

/** The model name that every target must know. */
export const benchModel = 'gpt-bench';

/** Events of a streamed answer between its first and its last ones. */
export const contentEvents = 200;

/** In a prompt: the upstream writes each event by itself, a timer tick apart, instead of twenty at once. */
export const oneByOneMarker = '[one by one]';

const sentence =
  'The quick brown fox jumps over the lazy dog while the gateway counts its tokens. ';

function chat(bytes: number, more: object = {}, start = ''): string {
  const content = start + sentence.repeat(Math.ceil(bytes / sentence.length)).slice(0, bytes);
  return JSON.stringify({
    model: benchModel,
    messages: [
      { role: 'system', content: 'You answer briefly.' },
      { role: 'user', content },
    ],
    temperature: 0.2,
    max_tokens: 64,
    ...more,
  });
}

/** What is measured, in this order. */
export const workloads: readonly Workload[] = [
  {
    name: 'chat-1k',
    what: 'chat, 1 kB in and out',
    path: '/v1/chat/completions',
    body: chat(850),
    connections: 32,
    events: 0,
    goal: { must: 1.8, aim: 1.5 },
  },
  {
    name: 'chat-100k',
    what: 'chat, 100 kB in, 1 kB out',
    path: '/v1/chat/completions',
    body: chat(100_000),
    connections: 16,
    events: 0,
    goal: { must: 2, aim: 1.5 },
  },
  {
    name: 'embeddings',
    what: 'embeddings, 1 kB in, 8 kB (base64) out',
    path: '/v1/embeddings',
    body: JSON.stringify({
      model: benchModel,
      input: sentence.repeat(11),
      encoding_format: 'base64',
    }),
    connections: 32,
    events: 0,
  },
  {
    name: 'stream-bursts',
    what: `chat stream, ${contentEvents} events, twenty at once`,
    path: '/v1/chat/completions',
    body: chat(850, { stream: true }),
    connections: 32,
    events: contentEvents,
    goal: { must: 1.5, aim: 1.2 },
  },
  {
    name: 'responses-bursts',
    what: `responses stream that is not stored, ${contentEvents} events, twenty at once`,
    path: '/v1/responses',
    body: JSON.stringify({
      model: benchModel,
      input: sentence.repeat(11),
      stream: true,
      store: false,
    }),
    connections: 32,
    events: contentEvents,
    goal: { must: 1.5, aim: 1.2 },
  },
  {
    name: 'stream-one-by-one',
    what: `chat stream, ${contentEvents} events, each by itself`,
    path: '/v1/chat/completions',
    body: chat(850, { stream: true }, oneByOneMarker),
    connections: 64,
    events: contentEvents,
    goal: { must: 1.5, aim: 1.2 },
  },
];
