import type { Answer } from '../answer.ts';
import {
  BLOCKED_ANSWER_RESULTS,
  CHUNK_RESULTS,
  FILTER_DOWN_RESULTS,
  PROMPT_RESULTS,
} from '../content-filter.ts';
import type { JsonObject } from '../json.ts';
import { dataFrame } from '../reply.ts';
import type { Frame } from '../reply.ts';
import { CODE_POINTS_PER_TOKEN, estimateTokens, pieces } from '../tokens.ts';
import type { Usage } from '../tokens.ts';
import { chatUsage } from './usage.ts';

/** Tokens of one text event: Azure's default filter sends several at once. */
const TOKENS_PER_CHUNK = 4;
/** The asynchronous filter looks at a stretch of this many characters at a time. */
const FILTER_STRETCH = 1000;

/** What shapes a stream besides its answers. */
export type ChatStreamOptions = {
  usage: Usage;
  includeUsage: boolean;
  asyncFilter: boolean;
  filterDown: boolean;
  /** Sends the arguments of a call in one event. */
  wholeArguments: boolean;
};

type Root = { id: string; created: number; model: string; system_fingerprint: string };

/** The events of a streamed chat completion, from the prompt's filter results to `[DONE]`. */
export function chatFrames(
  root: Root,
  choices: readonly { answer: Answer; callIds: string[] }[],
  options: ChatStreamOptions,
): Frame[] {
  const common = {
    id: root.id,
    object: 'chat.completion.chunk',
    created: root.created,
    model: root.model,
    system_fingerprint: root.system_fingerprint,
  };
  // With a usage event at the end every other event says that it has none.
  const noUsage = options.includeUsage ? { usage: null } : {};
  const chunk = (choice: JsonObject, tokens = 0): Frame =>
    dataFrame({ ...common, choices: [choice], ...noUsage }, tokens);

  const frames: Frame[] = [
    dataFrame({
      choices: [],
      created: 0,
      id: '',
      model: '',
      object: '',
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: PROMPT_RESULTS }],
    }),
  ];
  for (const [index, { answer, callIds }] of choices.entries()) {
    const write = options.asyncFilter ? asyncFilteredChoice : filteredChoice;
    frames.push(...write(index, answer, callIds, options, chunk));
  }
  if (options.includeUsage) {
    frames.push(dataFrame({ ...common, choices: [], usage: chatUsage(options.usage) }));
  }
  frames.push(dataFrame('[DONE]'));
  return frames;
}

type ChunkWriter = (choice: JsonObject, tokens?: number) => Frame;

/** The default mode: every event carries the findings on its text. */
function filteredChoice(
  index: number,
  answer: Answer,
  callIds: readonly string[],
  options: ChatStreamOptions,
  chunk: ChunkWriter,
): Frame[] {
  const write = (
    delta: JsonObject,
    results: JsonObject,
    tokens = 0,
    finish: string | null = null,
  ): Frame =>
    chunk(
      { index, delta, finish_reason: finish, logprobs: null, content_filter_results: results },
      tokens,
    );
  const textResults = options.filterDown ? FILTER_DOWN_RESULTS : CHUNK_RESULTS;

  const opening = {
    role: 'assistant',
    content: answer.calls.length > 0 && answer.text === undefined ? null : '',
    refusal: null,
  };
  const frames = [write(opening, {})];
  for (const piece of textPieces(answer.text)) {
    frames.push(write({ content: piece }, textResults, estimateTokens(piece)));
  }
  for (const piece of textPieces(answer.refusal)) {
    frames.push(write({ refusal: piece }, textResults, estimateTokens(piece)));
  }
  for (const [position, made] of answer.calls.entries()) {
    for (const { delta, tokens } of callDeltas(made, callIds[position] ?? '', position, options)) {
      frames.push(write({ tool_calls: [delta] }, {}, tokens));
    }
  }
  const blocked = answer.finish === 'content_filter';
  const { violence } = BLOCKED_ANSWER_RESULTS;
  frames.push(write({}, blocked ? { ...CHUNK_RESULTS, violence } : {}, 0, answer.finish));
  return frames;
}

function textPieces(text: string | undefined): string[] {
  return pieces(text ?? '', TOKENS_PER_CHUNK * CODE_POINTS_PER_TOKEN);
}

/** Events of one call: id and name first, then the arguments in fragments. */
function callDeltas(
  made: Answer['calls'][number],
  id: string,
  index: number,
  options: ChatStreamOptions,
): { delta: JsonObject; tokens: number }[] {
  const custom = made.kind === 'custom';
  const member = custom ? 'custom' : 'function';
  const field = custom ? 'input' : 'arguments';
  const fragments = options.wholeArguments ? [made.arguments] : textPieces(made.arguments);
  let left = estimateTokens(made.name + made.arguments);
  return [
    { delta: { index, id, type: member, [member]: { name: made.name, [field]: '' } }, tokens: 0 },
    ...fragments.map((fragment, position) => {
      const tokens = position === fragments.length - 1 ? left : Math.min(left, TOKENS_PER_CHUNK);
      left -= tokens;
      return { delta: { index, [member]: { [field]: fragment } }, tokens };
    }),
  ];
}

/** The asynchronous mode: text at once, findings in events of their own, one even after the last. */
function asyncFilteredChoice(
  index: number,
  answer: Answer,
  callIds: readonly string[],
  options: ChatStreamOptions,
  chunk: ChunkWriter,
): Frame[] {
  const text = answer.text ?? answer.refusal ?? '';
  const annotation = (results: JsonObject, checked: number, finish: string | null = null): Frame =>
    dataFrame({
      id: '',
      object: '',
      created: 0,
      model: '',
      choices: [
        {
          index,
          finish_reason: finish,
          content_filter_results: results,
          content_filter_offsets: {
            check_offset: checked,
            start_offset: checked,
            end_offset: Math.min(checked + FILTER_STRETCH, text.length),
          },
        },
      ],
      ...(options.includeUsage ? { usage: null } : {}),
    });
  const write = (delta: JsonObject, tokens = 0, finish: string | null = null): Frame =>
    chunk({ index, finish_reason: finish, delta }, tokens);

  const frames = [write({ role: 'assistant' })];
  const field = answer.refusal === undefined ? 'content' : 'refusal';
  for (const piece of textPieces(text))
    frames.push(write({ [field]: piece }, estimateTokens(piece)));
  for (const [position, made] of answer.calls.entries()) {
    for (const { delta, tokens } of callDeltas(made, callIds[position] ?? '', position, options)) {
      frames.push(write({ tool_calls: [delta] }, tokens));
    }
  }
  frames.push(annotation(CHUNK_RESULTS, 0));
  if (answer.finish === 'content_filter') {
    const found = { protected_material_text: { detected: true, filtered: true } };
    frames.push(annotation(found, 0, 'content_filter'));
    return frames;
  }
  frames.push(write({}, 0, answer.finish), annotation(CHUNK_RESULTS, text.length));
  return frames;
}
