import type { JsonValue } from '@aigateway/contract/records';

/**
 * What a bridge does with one request parameter.
 *
 * - `carried`: goes on under its name as it stands
 * - `translated`: has another name or shape upstream
 * - `dropped`: left out and reported, because the answer stays usable without it
 * - `refused`: answered with 400, because leaving it out would give the caller another answer than the one asked for
 */
export type ParameterFate = 'carried' | 'translated' | 'dropped' | 'refused';

export type Parameter = {
  fate: ParameterFate;
  /** What it becomes or why it cannot be carried. The reason of a refusal is shown to the caller. */
  note: string;
  /** Where the upstream's request has what it becomes, under another name: what an upstream's error names. */
  upstream?: readonly string[];
  /** Values that ask for nothing, besides null: neither reported nor refused. */
  neutral?: readonly JsonValue[];
};

/** The documented request parameters of one operation and their fate on the way to another. */
export type ParameterTable = { readonly [name: string]: Parameter };

const asItStands: Parameter = { fate: 'carried', note: 'as it stands' };

/** Chat request parameters on the way to responses. `docs/reference/bridges.md` shows this table. */
export const chatToResponses: ParameterTable = {
  model: asItStands,
  stream: asItStands,
  temperature: asItStands,
  top_p: asItStands,
  parallel_tool_calls: asItStands,
  metadata: asItStands,
  user: asItStands,
  safety_identifier: asItStands,
  prompt_cache_key: asItStands,
  prompt_cache_retention: asItStands,
  prompt_cache_options: asItStands,
  service_tier: asItStands,
  moderation: asItStands,
  messages: { fate: 'translated', note: '`input` items, without item ids', upstream: ['input'] },
  tools: { fate: 'translated', note: '`tools`, flat; `strict` absent or null becomes `false`' },
  tool_choice: { fate: 'translated', note: '`tool_choice`, flat; `allowed_tools` included' },
  functions: {
    fate: 'translated',
    note: '`tools`; the answer uses `function_call`',
    upstream: ['tools'],
  },
  function_call: { fate: 'translated', note: '`tool_choice`', upstream: ['tool_choice'] },
  max_tokens: {
    fate: 'translated',
    note: '`max_output_tokens`, at least 16',
    upstream: ['max_output_tokens'],
  },
  max_completion_tokens: {
    fate: 'translated',
    note: '`max_output_tokens`, at least 16; wins over `max_tokens`',
    upstream: ['max_output_tokens'],
  },
  reasoning_effort: {
    fate: 'translated',
    note: '`reasoning.effort`',
    upstream: ['reasoning.effort'],
  },
  reasoning: {
    fate: 'translated',
    note: '`reasoning`, its documented members (a vendor field that clients send)',
  },
  verbosity: { fate: 'translated', note: '`text.verbosity`', upstream: ['text.verbosity'] },
  response_format: { fate: 'translated', note: '`text.format`', upstream: ['text.format'] },
  web_search_options: { fate: 'translated', note: 'a `web_search` tool' },
  store: { fate: 'translated', note: '`store`; absent becomes `false`, the default of chat' },
  stream_options: {
    fate: 'translated',
    note: '`include_usage` decides on the usage chunk, `include_obfuscation` goes on',
  },
  stop: { fate: 'dropped', note: 'no such parameter; the model ends by itself', neutral: ['', []] },
  seed: { fate: 'dropped', note: 'no such parameter; it was best effort only' },
  frequency_penalty: { fate: 'dropped', note: 'no such parameter; a nudge to style', neutral: [0] },
  presence_penalty: { fate: 'dropped', note: 'no such parameter; a nudge to style', neutral: [0] },
  logit_bias: { fate: 'dropped', note: 'no such parameter; a nudge to style', neutral: [{}] },
  prediction: { fate: 'dropped', note: 'no such parameter; it only makes answers faster' },
  n: { fate: 'refused', note: 'it gives one answer a request', neutral: [1] },
  logprobs: {
    fate: 'refused',
    note: 'models behind it do not give log probabilities',
    neutral: [false],
  },
  top_logprobs: {
    fate: 'refused',
    note: 'models behind it do not give log probabilities',
    neutral: [0],
  },
  audio: { fate: 'refused', note: 'it gives no audio' },
  modalities: { fate: 'refused', note: 'it gives text only', neutral: [['text'], []] },
};

/** Responses request parameters on the way to chat. `docs/reference/bridges.md` shows this table. */
export const responsesToChat: ParameterTable = {
  model: asItStands,
  stream: asItStands,
  temperature: asItStands,
  top_p: asItStands,
  user: asItStands,
  safety_identifier: asItStands,
  prompt_cache_key: asItStands,
  prompt_cache_retention: asItStands,
  prompt_cache_options: asItStands,
  service_tier: asItStands,
  moderation: asItStands,
  instructions: { fate: 'translated', note: 'a first `system` message' },
  input: { fate: 'translated', note: '`messages`', upstream: ['messages'] },
  tools: { fate: 'translated', note: 'function `tools`; hosted tools are dropped' },
  tool_choice: {
    fate: 'translated',
    note: '`tool_choice`; `allowed_tools` narrows `tools`; a forced hosted tool is refused',
  },
  parallel_tool_calls: { fate: 'translated', note: 'as it stands, only beside tools' },
  max_output_tokens: {
    fate: 'translated',
    note: '`max_completion_tokens`',
    upstream: ['max_completion_tokens'],
  },
  reasoning: {
    fate: 'translated',
    note: '`reasoning_effort`; other members are dropped',
    upstream: ['reasoning_effort'],
  },
  text: {
    fate: 'translated',
    note: '`response_format` and `verbosity`',
    upstream: ['response_format', 'verbosity'],
  },
  top_logprobs: { fate: 'translated', note: '`logprobs` and `top_logprobs`' },
  include: {
    fate: 'translated',
    note: '`message.output_text.logprobs` becomes `logprobs`; the rest is dropped',
  },
  stream_options: {
    fate: 'translated',
    note: '`include_usage` is added; `include_obfuscation` goes on',
  },
  store: { fate: 'dropped', note: 'answers of this bridge are not stored', neutral: [false] },
  metadata: {
    fate: 'dropped',
    note: 'chat takes it for stored answers only; the answer repeats it',
    neutral: [{}],
  },
  truncation: { fate: 'dropped', note: 'no such parameter', neutral: ['disabled'] },
  max_tool_calls: { fate: 'dropped', note: 'it bounds hosted tools, which chat does not have' },
  context_management: { fate: 'dropped', note: 'chat does not compact', neutral: [[]] },
  client_metadata: { fate: 'dropped', note: 'a client’s notes for its vendor', neutral: [{}] },
  previous_response_id: {
    fate: 'refused',
    note: 'it keeps no responses; send the whole conversation as input',
  },
  conversation: {
    fate: 'refused',
    note: 'it keeps no conversations; send the whole conversation as input',
  },
  background: { fate: 'refused', note: 'it answers while the caller waits', neutral: [false] },
  prompt: { fate: 'refused', note: 'it knows no stored prompts' },
};

/** Completions request parameters on the way to chat. `docs/reference/bridges.md` shows this table. */
export const completionsToChat: ParameterTable = {
  model: asItStands,
  stream: asItStands,
  stream_options: asItStands,
  temperature: asItStands,
  top_p: asItStands,
  n: asItStands,
  stop: asItStands,
  seed: asItStands,
  frequency_penalty: asItStands,
  presence_penalty: asItStands,
  logit_bias: asItStands,
  user: asItStands,
  prompt: {
    fate: 'translated',
    note: 'one `user` message; several prompts or token lists are refused',
    upstream: ['messages'],
  },
  max_tokens: {
    fate: 'translated',
    note: '`max_completion_tokens`; absent stays absent (completions would stop after 16 tokens)',
    upstream: ['max_completion_tokens'],
  },
  logprobs: { fate: 'translated', note: '`logprobs` and `top_logprobs`' },
  echo: { fate: 'refused', note: 'it does not repeat the prompt', neutral: [false] },
  best_of: { fate: 'refused', note: 'it does not rank several answers', neutral: [1] },
  suffix: { fate: 'refused', note: 'it does not fill gaps', neutral: [''] },
};
