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

/** Nested: the flat form of the OpenAPI document is taken for an ordinary event by some SDK versions. */
function errorEvent(error: JsonObject, before: string): string {
  const last = [...before.matchAll(/"sequence_number"\s*:\s*(\d{1,9})/g)].at(-1)?.[1];
  const sequence = last === undefined ? 0 : Number(last) + 1;
  const data = JSON.stringify({ type: 'error', error, sequence_number: sequence });
  return `event: error\ndata: ${data}\n\n`;
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
