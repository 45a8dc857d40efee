import { arrayOf, isObject, textOf } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { namedFrame } from '../reply.ts';
import type { Frame } from '../reply.ts';
import { CODE_POINTS_PER_TOKEN, estimateTokens, pieces } from '../tokens.ts';

/** Tokens of one text event. */
const TOKENS_PER_CHUNK = 4;

type Emit = (type: string, members: JsonObject, tokens?: number) => void;

/**
 * The events of a streamed response, from `response.created` to the terminal event; there is no `[DONE]`.
 *
 * @param started - the response object before anything is generated
 * @param output - what is generated
 * @param finished - the object at the end
 * @param wholeArguments - sends the arguments of a call in their `done` event alone
 */
export function responsesFrames(
  started: JsonObject,
  output: readonly JsonObject[],
  finished: JsonObject,
  wholeArguments: boolean,
): Frame[] {
  const frames: Frame[] = [];
  const emit: Emit = (type, members, tokens = 0) => {
    frames.push(namedFrame({ type, sequence_number: frames.length, ...members }, tokens));
  };
  emit('response.created', { response: started });
  if (started['status'] === 'queued') emit('response.queued', { response: started });
  emit('response.in_progress', { response: { ...started, status: 'in_progress' } });
  for (const [index, item] of output.entries()) emitItem(emit, index, item, wholeArguments);
  emit(`response.${String(finished['status'])}`, { response: finished });
  return frames;
}

function emitItem(
  emit: Emit,
  output_index: number,
  item: JsonObject,
  wholeArguments: boolean,
): void {
  switch (item['type']) {
    case 'reasoning':
      emitReasoning(emit, output_index, item);
      break;
    case 'message':
      emitMessage(emit, output_index, item);
      break;
    case 'function_call':
      emitCall(
        emit,
        output_index,
        item,
        'arguments',
        'response.function_call_arguments',
        wholeArguments,
      );
      break;
    case 'custom_tool_call':
      emitCall(
        emit,
        output_index,
        item,
        'input',
        'response.custom_tool_call_input',
        wholeArguments,
      );
      break;
    default:
      // The compaction item counts as output, so that faults after output can strike it.
      emit('response.output_item.added', { output_index, item });
      emit('response.output_item.done', { output_index, item }, 1);
  }
}

function emitReasoning(emit: Emit, output_index: number, item: JsonObject): void {
  const opening = {
    ...item,
    summary: [],
    ...('encrypted_content' in item ? { encrypted_content: null } : {}),
  };
  emit('response.output_item.added', { output_index, item: opening });
  for (const [summary_index, part] of arrayOf(item['summary']).filter(isObject).entries()) {
    const place = { item_id: item['id'], output_index, summary_index };
    const text = textOf(part['text']);
    emit('response.reasoning_summary_part.added', { ...place, part: { ...part, text: '' } });
    for (const delta of textPieces(text))
      emit('response.reasoning_summary_text.delta', { ...place, delta });
    emit('response.reasoning_summary_text.done', { ...place, text });
    emit('response.reasoning_summary_part.done', { ...place, part });
  }
  emit('response.output_item.done', { output_index, item });
}

function emitMessage(emit: Emit, output_index: number, item: JsonObject): void {
  emit('response.output_item.added', {
    output_index,
    item: { ...item, status: 'in_progress', content: [] },
  });
  for (const [content_index, part] of arrayOf(item['content']).filter(isObject).entries()) {
    const place = { item_id: item['id'], output_index, content_index };
    const refused = part['type'] === 'refusal';
    const field = refused ? 'refusal' : 'text';
    const event = refused ? 'response.refusal' : 'response.output_text';
    const logprobs = refused ? {} : { logprobs: [] };
    const text = textOf(part[field]);
    emit('response.content_part.added', { ...place, part: { ...part, [field]: '' } });
    for (const delta of textPieces(text)) {
      emit(`${event}.delta`, { ...place, delta, ...logprobs }, estimateTokens(delta));
    }
    emit(`${event}.done`, { ...place, [field]: text, ...logprobs });
    emit('response.content_part.done', { ...place, part });
  }
  emit('response.output_item.done', { output_index, item });
}

function emitCall(
  emit: Emit,
  output_index: number,
  item: JsonObject,
  field: 'arguments' | 'input',
  event: string,
  whole: boolean,
): void {
  const text = textOf(item[field]);
  const place = { item_id: item['id'], output_index };
  let left = estimateTokens(textOf(item['name']) + text);
  emit('response.output_item.added', {
    output_index,
    item: { ...item, status: 'in_progress', [field]: '' },
  });
  if (!whole) {
    const fragments = textPieces(text);
    for (const [index, delta] of fragments.entries()) {
      const tokens = index === fragments.length - 1 ? left : Math.min(left, TOKENS_PER_CHUNK);
      left -= tokens;
      emit(`${event}.delta`, { ...place, delta }, tokens);
    }
  }
  emit(`${event}.done`, { ...place, [field]: text }, left);
  emit('response.output_item.done', { output_index, item });
}

function textPieces(text: string): string[] {
  return pieces(text, TOKENS_PER_CHUNK * CODE_POINTS_PER_TOKEN);
}
