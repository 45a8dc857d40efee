import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { SseEvent } from '../bridge/bridge.ts';
import { eventObject, type EventMeaning, type OperationFacts } from './operation.ts';

function isFilled(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === '') return false;
  return !(Array.isArray(value) && value.length === 0);
}

function chunkMeaning(event: SseEvent): EventMeaning {
  if (event.data === '[DONE]') return 'end';
  const chunk = eventObject(event);
  if (chunk === undefined) return 'output';
  if (event.event === 'error' || isFilled(chunk['error'])) return 'error';
  const choices = chunk['choices'];
  if (!Array.isArray(choices) || choices.length === 0) return 'preamble';
  return choices.some(hasOutput) ? 'output' : 'preamble';
}

/** A choice that says more than its role. */
function hasOutput(choice: JsonValue): boolean {
  if (typeof choice !== 'object' || choice === null || Array.isArray(choice)) return true;
  if (isFilled(choice['finish_reason']) || isFilled(choice['text'])) return true;
  const delta = choice['delta'];
  if (typeof delta !== 'object' || delta === null || Array.isArray(delta)) return false;
  return Object.entries(delta).some(([name, value]) => name !== 'role' && isFilled(value));
}

/** Ends without `[DONE]`: SDKs take a `[DONE]` for a complete answer. */
function errorChunk(error: JsonObject): string {
  return `data: ${JSON.stringify({ error })}\n\n`;
}

export const chat: OperationFacts = {
  name: 'chat',
  path: '/chat/completions',
  streams: true,
  outputLimits: ['max_completion_tokens', 'max_tokens'],
  choices: ['n'],
  usageOnRequest: true,
  meaning: chunkMeaning,
  errorEvent: errorChunk,
};

export const completions: OperationFacts = {
  name: 'completions',
  path: '/completions',
  streams: true,
  outputLimits: ['max_tokens'],
  choices: ['n', 'best_of'],
  usageOnRequest: true,
  meaning: chunkMeaning,
  errorEvent: errorChunk,
};
