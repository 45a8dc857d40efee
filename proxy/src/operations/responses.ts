import type { JsonObject } from '@aigateway/contract/records';
import type { SseEvent } from '../bridge/bridge.ts';
import { eventObject, type EventMeaning, type OperationFacts } from './operation.ts';

const preamble: ReadonlySet<string> = new Set([
  'response.created',
  'response.in_progress',
  'response.queued',
]);

function meaning(event: SseEvent): EventMeaning {
  if (event.data === '[DONE]') return 'end';
  const type = event.event === '' ? eventObject(event)?.['type'] : event.event;
  if (typeof type !== 'string') return 'output';
  if (preamble.has(type)) return 'preamble';
  if (type === 'error' || type === 'response.failed') return 'error';
  if (type === 'response.completed' || type === 'response.incomplete') return 'end';
  return 'output';
}

/** What the document of the API requires of a response, for one that failed before it was told to the caller. */
const unbegun: JsonObject = {
  object: 'response',
  incomplete_details: null,
  instructions: null,
  metadata: {},
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: 'auto',
  tools: [],
  top_p: null,
};

/**
 * The end of a stream that failed: `response.failed`, which is what Azure sends and Codex waits for, and the error event, which
 * is what the SDKs raise. That one is nested: some versions of them take the flat form for an ordinary event.
 *
 * @param begun - the response as the caller has seen it begin
 */
export function failureEvents(error: JsonObject, sequenceNumber: number, begun: JsonObject) {
  const response = { ...unbegun, ...begun, error: null, output: [], usage: null };
  const code = error['code'] ?? 'server_error';
  const failed = {
    ...response,
    status: 'failed',
    error: { code, message: error['message'] ?? '' },
  };
  const events: (JsonObject & { type: string })[] = [
    { type: 'response.failed', response: failed },
    { type: 'error', error },
  ];
  // Helpers of the SDKs take no other event for the first of a stream.
  if (sequenceNumber === 0)
    events.unshift({ type: 'response.created', response: { ...response, status: 'in_progress' } });
  return events
    .map((event, index) => eventText({ ...event, sequence_number: sequenceNumber + index }))
    .join('');
}

function eventText(data: JsonObject & { type: string }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function errorEvent(error: JsonObject, before: string, begun: JsonObject): string {
  // What broke off in its middle, the caller has not seen.
  const whole = before.slice(0, before.lastIndexOf('\n\n') + 1);
  const own = whole.lastIndexOf('event: error\n');
  const told = own === -1 ? whole : whole.slice(0, own);
  const last = [...told.matchAll(/"sequence_number"\s*:\s*(\d{1,9})/g)].at(-1)?.[1];
  return failureEvents(error, last === undefined ? 0 : Number(last) + 1, begun);
}

export const responses: OperationFacts = {
  name: 'responses',
  path: '/responses',
  streams: true,
  outputLimits: ['max_output_tokens'],
  choices: [],
  usageOnRequest: false,
  meaning,
  errorEvent,
};

/** Responses by their id. One that failed long ago is what was asked for, and no failure of whoever tells it. */
export const storedResponses: OperationFacts = {
  ...responses,
  meaning: (event) => (event.event === 'response.failed' ? 'end' : meaning(event)),
};
