import type { Method } from './document.ts';

/** Models by what they are used for; the target must have all of them. */
export type Models = { chat: string; embeddings: string; completions: string };

/** One request, and what is expected of its answer besides its schema. */
export type Exchange = {
  name: string;
  method: Method;
  /** As in documents of the v1 form. */
  path: string;
  /** The model asked for: in the body, and as the deployment in classic paths. */
  model?: keyof Models | 'unknown';
  body?: { [field: string]: unknown };
  stream?: true;
  status: number;
  wrongKey?: true;
  /** Keeps the answer's id under this name … */
  keeps?: string;
  /** … for the `{response_id}` of a later exchange's path, or its `previous_response_id`. */
  needs?: string;
};

const question = [
  { role: 'system', content: 'You answer briefly.' },
  { role: 'user', content: 'What is the weather in Paris?' },
];

const weather = {
  name: 'get_weather',
  description: 'Current weather of a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};

const report = {
  name: 'report',
  strict: true,
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, degrees: { type: 'number' } },
    required: ['city', 'degrees'],
    additionalProperties: false,
  },
};

const chat = { method: 'post', path: '/chat/completions', model: 'chat' } as const;
const chatTools = {
  messages: question,
  tools: [{ type: 'function', function: weather }],
  tool_choice: { type: 'function', function: { name: weather.name } },
};

const embeddings = { method: 'post', path: '/embeddings', model: 'embeddings' } as const;
const completions = { method: 'post', path: '/completions', model: 'completions' } as const;

const responses = { method: 'post', path: '/responses', model: 'chat' } as const;
const response = { path: '/responses/{response_id}' } as const;
const input = 'What is the weather in Paris?';
const responseTools = {
  input,
  tools: [{ type: 'function', ...weather, strict: true }],
  tool_choice: { type: 'function', name: weather.name },
};

/** What is asked, in this order: later ones use what earlier ones made. */
export const exchanges: readonly Exchange[] = [
  { name: 'models', method: 'get', path: '/models', status: 200 },

  { ...chat, name: 'chat', body: { messages: question, max_tokens: 50 }, status: 200 },
  {
    ...chat,
    name: 'chat of two choices with logprobs',
    body: { messages: question, n: 2, logprobs: true, top_logprobs: 2, max_tokens: 20 },
    status: 200,
  },
  { ...chat, name: 'chat with tools', body: chatTools, status: 200 },
  {
    ...chat,
    name: 'chat with the result of a tool',
    body: {
      messages: [
        ...question,
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'call_1',
              type: 'function',
              function: { name: weather.name, arguments: '{"city":"Paris"}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: '21 °C' },
      ],
      tools: chatTools.tools,
    },
    status: 200,
  },
  {
    ...chat,
    name: 'chat with json_schema',
    body: { messages: question, response_format: { type: 'json_schema', json_schema: report } },
    status: 200,
  },
  {
    ...chat,
    name: 'chat stream',
    stream: true,
    body: { messages: question, stream: true },
    status: 200,
  },
  {
    ...chat,
    name: 'chat stream with usage',
    stream: true,
    body: { messages: question, stream: true, stream_options: { include_usage: true } },
    status: 200,
  },
  {
    ...chat,
    name: 'chat stream with tools',
    stream: true,
    body: { ...chatTools, stream: true },
    status: 200,
  },
  { ...chat, name: 'chat without messages', body: {}, status: 400 },
  {
    ...chat,
    name: 'chat with a wrong type',
    body: { messages: question, temperature: 'warm' },
    status: 400,
  },
  {
    ...chat,
    name: 'chat with an unknown model',
    model: 'unknown',
    body: { messages: question },
    status: 404,
  },
  {
    ...chat,
    name: 'chat with a wrong key',
    wrongKey: true,
    body: { messages: question },
    status: 401,
  },

  {
    ...embeddings,
    name: 'embeddings',
    body: { input: ['one', 'two'], encoding_format: 'float' },
    status: 200,
  },
  {
    ...embeddings,
    name: 'embeddings as base64',
    body: { input: 'one', encoding_format: 'base64' },
    status: 200,
  },
  { ...embeddings, name: 'embeddings without input', body: {}, status: 400 },

  { ...completions, name: 'completions', body: { prompt: 'Once', max_tokens: 20 }, status: 200 },
  {
    ...completions,
    name: 'completions stream',
    stream: true,
    body: { prompt: 'Once', max_tokens: 20, stream: true },
    status: 200,
  },

  { ...responses, name: 'response', body: { input }, status: 200, keeps: 'first' },
  { ...response, name: 'response, read', method: 'get', needs: 'first', status: 200 },
  {
    name: 'response, its input items',
    method: 'get',
    path: '/responses/{response_id}/input_items',
    needs: 'first',
    status: 200,
  },
  {
    ...responses,
    name: 'response that goes on from another',
    body: { input: 'And in Rome?' },
    needs: 'first',
    status: 200,
  },
  {
    ...responses,
    name: 'response with tools',
    body: responseTools,
    status: 200,
  },
  {
    ...responses,
    name: 'response with json_schema',
    body: { input, text: { format: { type: 'json_schema', ...report } } },
    status: 200,
  },
  {
    ...responses,
    name: 'response stream',
    stream: true,
    body: { input, stream: true },
    status: 200,
  },
  {
    ...responses,
    name: 'response stream with tools',
    stream: true,
    body: { ...responseTools, stream: true },
    status: 200,
  },
  {
    ...responses,
    name: 'response in the background',
    body: { input, background: true },
    status: 200,
    keeps: 'background',
  },
  {
    name: 'response in the background, cancelled',
    method: 'post',
    path: '/responses/{response_id}/cancel',
    needs: 'background',
    status: 200,
  },
  {
    ...responses,
    name: 'response, its input counted',
    path: '/responses/input_tokens',
    body: { input },
    status: 200,
  },
  {
    ...responses,
    name: 'response, compacted',
    path: '/responses/compact',
    body: {
      input: [
        { role: 'user', content: input },
        { role: 'assistant', content: 'It is sunny.' },
        { role: 'user', content: 'And in Rome?' },
      ],
    },
    status: 200,
  },
  { ...responses, name: 'response with a wrong type', body: { input: 7 }, status: 400 },
  { ...response, name: 'response, deleted', method: 'delete', needs: 'first', status: 200 },
  { ...response, name: 'response, read once gone', method: 'get', needs: 'first', status: 404 },
];
