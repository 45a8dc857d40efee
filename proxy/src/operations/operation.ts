import type { JsonObject, Operation } from '@aigateway/contract/records';
import type { SseEvent } from '../bridge/bridge.ts';

/**
 * What a stream event means for the decision whether another deployment may still be tried.
 *
 * - `preamble`: nothing of the answer yet
 * - `output`: part of the answer
 * - `error`: the upstream failed inside its 200 answer
 * - `end`: the answer is complete
 */
export type EventMeaning = 'preamble' | 'output' | 'error' | 'end';

/** What is known of one operation: its wire habits, and nothing about who serves it. */
export type OperationFacts = {
  readonly name: Operation;
  /** Path behind the `/v1` of OpenAI's API. */
  readonly path: string;
  readonly streams: boolean;
  /** Members that hold the requested maximum of output tokens; of several the largest counts. */
  readonly outputLimits: readonly string[];
  /** Members whose number multiplies the output. */
  readonly choices: readonly string[];
  /** Whether `stream_options.include_usage` must be asked for to learn the usage of a stream. */
  readonly usageOnRequest: boolean;
  /** Meaning of one event of a stream. */
  meaning(event: SseEvent): EventMeaning;
  /**
   * The SSE text by which a failure reaches a caller whose stream has begun.
   *
   * @param before - the last bytes that the upstream sent, as text; events are numbered on from there, but for an error event
   *   of its own, whose place this one takes
   * @param begun - what the caller knows of the answer, in the members of the operation's own object
   */
  errorEvent(error: JsonObject, before: string, begun: JsonObject): string;
};

/** Parses an event's data; undefined when it is not a JSON object. */
export function eventObject(event: SseEvent): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(event.data);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as JsonObject;
    }
  } catch {
    return undefined;
  }
  return undefined;
}
