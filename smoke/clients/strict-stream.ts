import { expect } from 'vitest';
import type { JsonObject } from '../simulator/json.ts';

/** A chat stream as the strictest of the clients reads it. */
export type ChatStream = {
  text: string;
  finishReason: string;
  calls: { id: string; name: string; arguments: string }[];
  /** The usage chunk, where there is one. */
  usage: JsonObject | undefined;
};

type ChatChoice = {
  index: unknown;
  finish_reason: unknown;
  delta: { content?: unknown; tool_calls?: ChatCallDelta[] };
};
type ChatCallDelta = {
  index: unknown;
  id?: unknown;
  function?: { name?: unknown; arguments?: unknown };
};

/**
 * Reads a chat stream with every demand that some client makes: whole events of one `data` line, integer indexes, ids and texts
 * that are strings or null, at least one choice in every chunk but that of the usage, a reason to stop, `[DONE]` at the end.
 */
export function readChatStream(text: string): ChatStream {
  const events = eventsOf(text);
  expect(events.at(-1)?.data).toBe('[DONE]');
  const result: ChatStream = { text: '', finishReason: '', calls: [], usage: undefined };
  for (const { event, data } of events.slice(0, -1)) {
    expect(event).toBe('');
    const chunk = JSON.parse(data) as JsonObject;
    expect(chunk).not.toHaveProperty('error');
    expect(typeof chunk['id']).toBe('string');
    expect(chunk['object']).toBe('chat.completion.chunk');
    const choices = chunk['choices'] as ChatChoice[];
    if (choices.length === 0) {
      expect(result.usage, 'one chunk without choices, that of the usage').toBeUndefined();
      result.usage = chunk['usage'] as JsonObject;
      expect(result.usage['total_tokens']).toBeGreaterThan(0);
      continue;
    }
    for (const choice of choices) addChoice(result, choice);
  }
  expect(result.finishReason).not.toBe('');
  return result;
}

function addChoice(result: ChatStream, { index, finish_reason: finish, delta }: ChatChoice): void {
  expect(Number.isInteger(index)).toBe(true);
  expect(finish === null || typeof finish === 'string').toBe(true);
  if (typeof finish === 'string') result.finishReason = finish;
  const content = delta.content ?? null;
  expect(content === null || typeof content === 'string').toBe(true);
  if (typeof content === 'string') result.text += content;
  for (const call of delta.tool_calls ?? []) addCall(result, call);
}

function addCall(result: ChatStream, { index, id, function: called }: ChatCallDelta): void {
  expect(Number.isInteger(index)).toBe(true);
  const at = Number(index);
  const known = result.calls[at];
  if (known === undefined) {
    expect(typeof id).toBe('string');
    expect(typeof called?.name).toBe('string');
    result.calls[at] = { id: String(id), name: String(called?.name), arguments: '' };
  }
  const call = result.calls[at];
  const piece = called?.arguments ?? '';
  expect(typeof piece).toBe('string');
  if (call !== undefined && typeof piece === 'string') call.arguments += piece;
}

/** A Responses stream as the strictest of the clients reads it. */
export type ResponsesStream = {
  text: string;
  /** Whole items, from their `response.output_item.done`. */
  items: JsonObject[];
  /** Type of the last event. */
  terminal: string;
  /** The response of the last event. */
  response: JsonObject;
};

/**
 * Reads a Responses stream with every demand that some client makes: an `event` line that equals the type, rising sequence
 * numbers, deltas of items that were added, whole items, and a terminal event with the response's id.
 */
export function readResponsesStream(text: string): ResponsesStream {
  const events = eventsOf(text);
  const added = new Set<unknown>();
  const result: ResponsesStream = { text: '', items: [], terminal: '', response: {} };
  let sequence = -1;
  for (const { event, data } of events) {
    const body = JSON.parse(data) as JsonObject;
    expect(event).toBe(body['type']);
    expect(Number(body['sequence_number'])).toBeGreaterThan(sequence);
    sequence = Number(body['sequence_number']);
    const item = body['item'] as JsonObject | undefined;
    if (event === 'response.output_item.added') added.add(item?.['id']);
    if (event === 'response.output_item.done' && item !== undefined) result.items.push(item);
    if (event === 'response.output_text.delta') {
      expect(added.has(body['item_id'])).toBe(true);
      result.text += String(body['delta']);
    }
  }
  expect(events[0]?.event).toBe('response.created');
  const last = events.at(-1);
  result.terminal = last?.event ?? '';
  result.response = (JSON.parse(last?.data ?? '{}') as JsonObject)['response'] as JsonObject;
  expect(result.terminal).toMatch(/^response\.(completed|incomplete|failed)$/);
  expect(typeof result.response['id']).toBe('string');
  return result;
}

/** Events of a stream; comments are left out, and a piece that is no whole event fails. */
function eventsOf(text: string): { event: string; data: string }[] {
  expect(text.endsWith('\n\n')).toBe(true);
  return text
    .split('\n\n')
    .slice(0, -1)
    .filter((block) => !block.startsWith(':'))
    .map((block) => {
      const lines = block.split('\n').filter((line) => !line.startsWith(':'));
      const data = lines.filter((line) => line.startsWith('data: '));
      const event = lines.filter((line) => line.startsWith('event: '));
      expect(data).toHaveLength(1);
      expect(event.length + data.length).toBe(lines.length);
      return { event: (event[0] ?? '').slice(7), data: (data[0] ?? '').slice(6) };
    });
}
